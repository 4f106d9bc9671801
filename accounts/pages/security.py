"""Security of the signed-in person, customer or staff: second factors and open sessions.

Checking codes and signatures is the sign-in library's; every change goes on record by `factors.note_change` in the
transaction that makes it, under the account's lock. All of it asks again who it is after ten minutes. What is
somebody else's is 404.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.base import views as base
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.recovery_codes.internal.flows import can_generate_recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.mfa.webauthn.internal import auth
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.generic.edit import FormView

from accounts import browsers, factors
from accounts.doors import customer, fresh, personal_page, public_page
from accounts.factors import Change, Type
from accounts.models import Session
from accounts.sessions import end_chosen, mark_of

SESSIONS_A_PAGE = 20


@personal_page
def security(request: HttpRequest) -> HttpResponse:
    """Show what protects the sign-in, and the way to each part of it."""
    user = customer(request)
    rows = list(Authenticator.objects.filter(user=user.pk))
    of_type = {kind: [row for row in rows if row.type == kind] for kind in Type}
    spare = of_type[Type.RECOVERY_CODES]
    context = {
        "app": next(iter(of_type[Type.TOTP]), None),
        "passkeys": len(of_type[Type.WEBAUTHN]),
        "codes_left": len(spare[0].wrap().get_unused_codes()) if spare else None,
        "sessions": Session.objects.filter(user=user.pk, expire_date__gt=timezone.now()).count(),
        "must_enrol": user.is_staff and not factors.is_enrolled(user),
    }
    return render(request, "mfa/index.html", context)


class OnRecord:
    """A view of the library whose change is noted and told in the same transaction."""

    change: Change
    request: HttpRequest

    def form_valid(self, form: Any) -> HttpResponse:
        """Make the change under the account's lock and put it on record."""
        user = customer(self.request)
        with transaction.atomic():
            factors.lock(user)
            response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
            factors.note_change(user, self.change, request=self.request)
        return response


class AddApp(OnRecord, totp.ActivateTOTPView):  # type: ignore[misc]
    """Set up an authenticator app: its secret as a picture and as text, its first code as the proof."""

    change = Change.APP_ADDED

    def form_valid(self, form: Any) -> HttpResponse:
        """Set it up once, however often the form is sent."""
        with transaction.atomic():
            factors.lock(customer(self.request))
            if factors.is_enrolled(customer(self.request), Type.TOTP):
                return HttpResponseRedirect(reverse("mfa_index"))
            done: HttpResponse = super().form_valid(form)
        return done


class RemoveApp(OnRecord, totp.DeactivateTOTPView):  # type: ignore[misc]
    """Remove the authenticator app."""

    change = Change.APP_REMOVED


class AddPasskey(OnRecord, webauthn.AddWebAuthnView):  # type: ignore[misc]
    """Add a passkey."""

    change = Change.PASSKEY_ADDED

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Ask for a passkey that signs in by itself."""
        shown: dict[str, Any] = FormView.get_context_data(self, **kwargs)
        shown["js_data"] = {"options": auth.begin_registration(customer(self.request), True)}
        return shown


class RemovePasskey(OnRecord, webauthn.RemoveWebAuthnView):  # type: ignore[misc]
    """Remove a passkey of the signed-in person."""

    change = Change.PASSKEY_REMOVED


class RenamePasskey(webauthn.EditWebAuthnView):  # type: ignore[misc]
    """Give a passkey another name."""


class ConfirmPasskey(webauthn.ReauthenticateWebAuthnView):  # type: ignore[misc]
    """Confirm by passkey; what did not match is said on the same page."""

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show the page again with what was wrong."""
        shown: HttpResponse = self.render_to_response(self.get_context_data(form=form))
        return shown

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Keep the form that was sent."""
        return {**super().get_context_data(**kwargs), **kwargs}


class MakeCodes(OnRecord, codes.GenerateRecoveryCodesView):  # type: ignore[misc]
    """Make new recovery codes in place of the old ones."""

    change = Change.CODES_MADE

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Lead whoever has no second factor to where one is set up."""
        if not can_generate_recovery_codes(request.user):
            return HttpResponseRedirect(reverse("mfa_index"))
        shown: HttpResponse = super().get(request, *args, **kwargs)
        return shown


@personal_page
@fresh
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Show the recovery codes that are left."""
    row = Authenticator.objects.filter(user=customer(request).pk, type=Type.RECOVERY_CODES).first()
    if row is None:
        raise Http404
    return render(request, "mfa/recovery_codes.html", {"codes": row.wrap().get_unused_codes()})


@personal_page
def passkeys(request: HttpRequest) -> HttpResponse:
    """Show the passkeys of the signed-in person."""
    rows = Authenticator.objects.filter(user=customer(request).pk, type=Type.WEBAUTHN).order_by("pk")
    return render(request, "mfa/webauthn/authenticator_list.html", {"passkeys": rows})


@personal_page
def sessions(request: HttpRequest) -> HttpResponse:
    """Show where the signed-in person is signed in: browser, address, last use."""
    rows = Session.objects.filter(user=customer(request).pk, expire_date__gt=timezone.now())
    page = Paginator(rows.order_by("-created_at", "-pk"), SESSIONS_A_PAGE).get_page(request.GET.get("page"))
    own = request.session.session_key
    shown = [
        {
            "mark": mark_of(row.session_key),
            "is_this": row.session_key == own,
            "browser": browsers.label((row.origin or {}).get("browser")),
            "ip": (row.origin or {}).get("ip"),
            "seen_at": row.seen_at or row.created_at,
            "since": row.created_at,
        }
        for row in page
    ]
    return render(request, "accounts/sessions.html", {"page": page, "sessions": shown})


@personal_page
@fresh
def session_end(request: HttpRequest) -> HttpResponse:
    """End one session, or all but this one; looking at the address leads back to the list."""
    if request.method == "POST":
        ended = end_chosen(customer(request), request.POST.get("session", ""), keep=request.session.session_key)
        if ended:
            messages.success(request, _("Done. Whoever used it has to sign in again."))
        else:
            messages.success(request, _("Nothing was left to end."))
    return redirect("accounts:sessions")


add_app = personal_page(fresh(AddApp.as_view()))
remove_app = personal_page(fresh(RemoveApp.as_view()))
add_passkey = personal_page(fresh(AddPasskey.as_view()))
remove_passkey = personal_page(fresh(RemovePasskey.as_view()))
rename_passkey = personal_page(fresh(RenamePasskey.as_view()))
make_codes = personal_page(fresh(MakeCodes.as_view()))
confirm_code = personal_page(base.ReauthenticateView.as_view())
confirm_passkey = personal_page(ConfirmPasskey.as_view())
sign_in_code = public_page(base.AuthenticateView.as_view())
sign_in_passkey = public_page(webauthn.LoginWebAuthnView.as_view())
