"""The pages of the sign-in library that are in use, under the names the library reverses.

Its other pages (e-mail addresses, confirmation, sign-in codes by mail) would write tables that hold addresses in clear:
not routed.
"""

from __future__ import annotations

from allauth.account import views
from django.urls import path, re_path

from accounts.pages import security

urlpatterns = [
    path("sign-in/", views.login, name="account_login"),
    path("sign-out/", views.logout, name="account_logout"),
    path("sign-in/ended/", views.account_inactive, name="account_inactive"),
    path("sign-up/", views.signup, name="account_signup"),
    path("sign-in/confirm/", views.reauthenticate, name="account_reauthenticate"),
    path("sign-in/code/", security.sign_in_code, name="mfa_authenticate"),
    path("sign-in/passkey/", security.sign_in_passkey, name="mfa_login_webauthn"),
    path("sign-in/confirm/code/", security.confirm_code, name="mfa_reauthenticate"),
    path("sign-in/confirm/passkey/", security.confirm_passkey, name="mfa_reauthenticate_webauthn"),
    path("settings/security/", security.security, name="mfa_index"),
    path("settings/security/app/", security.add_app, name="mfa_activate_totp"),
    path("settings/security/app/remove/", security.remove_app, name="mfa_deactivate_totp"),
    path("settings/security/codes/", security.recovery_codes, name="mfa_view_recovery_codes"),
    path("settings/security/codes/new/", security.make_codes, name="mfa_generate_recovery_codes"),
    path("settings/security/passkeys/", security.passkeys, name="mfa_list_webauthn"),
    path("settings/security/passkeys/add/", security.add_passkey, name="mfa_add_webauthn"),
    path("settings/security/passkeys/<int:pk>/remove/", security.remove_passkey, name="mfa_remove_webauthn"),
    path("settings/security/passkeys/<int:pk>/edit/", security.rename_passkey, name="mfa_edit_webauthn"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("password/reset/", views.password_reset, name="account_reset_password"),
    path("password/reset/sent/", views.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/finished/",
        views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
]
