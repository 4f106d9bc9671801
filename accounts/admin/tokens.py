"""API tokens of other systems in the admin: make and revoke."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html

from accounts import issuing, scopes
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.models import ApiToken, User
from accounts.networks import clean_networks
from accounts.templatetags.portal_tags import moment


class TokenForm(forms.Form):
    """A token of another system."""

    name = forms.CharField(label="System that will use it", max_length=60, help_text="For instance: billing")
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=list(scopes.carried_by(scopes.Holder.SYSTEM).items()),
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.IntegerField(label="Days until it ends", min_value=1, max_value=issuing.LONGEST_DAYS, initial=90)
    networks = forms.CharField(
        label="Networks it works from",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One to a line, like 203.0.113.0/24. Leave this empty and it works from anywhere.",
    )

    def clean_networks(self) -> list[str]:
        """Return the networks, one to a line."""
        return clean_networks(self.cleaned_data["networks"].splitlines())


class MakeToken(Act):
    """Make a token and show its secret once."""

    slug, label, permission = "make", "Make a token", "accounts.make_token"
    form_class = TokenForm
    needs_record = False

    def consequences(self, record: Any) -> list[str]:
        return ["The secret is shown once, on the next page. It is stored as a hash and cannot be read again."]

    def perform(self, record: Any, form: forms.Form, user: User) -> Section:
        data = form.cleaned_data
        token, secret = issuing.issue(
            data["name"], data["scopes"], by=user, days=data["days"], networks=data["networks"]
        )
        facts = [("Token", token.pk), ("Secret", format_html("<code>{}</code>", secret))]
        return Section("Copy the secret now: it is not shown again", facts=facts)


class RevokeToken(Act):
    """Revoke a token."""

    slug, label, permission = "revoke", "Revoke this token", "accounts.revoke_token"

    def hindrance(self, record: Any, user: User) -> str:
        live = ApiToken.objects.live(timezone.now()).filter(pk=record.pk).exists()
        return "" if live else "This token has ended already."

    def consequences(self, record: Any) -> list[str]:
        return ["The system that uses it is refused from now on. A revoked token does not come back."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        issuing.revoke(record.pk, by=user)
        return f"Token {record.pk} is revoked."


@admin.register(ApiToken)
class ApiTokenAdmin(RecordAdmin):
    """Tokens of other systems: make, revoke."""

    acts = (MakeToken, RevokeToken)
    list_display = ("name", "created_at", "expires_at", "last_used_at", "revoked_at")
    ordering = ("-created_at", "-pk")

    def name_of(self, record: Any) -> str:
        return f"token of {record.name}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("System", record.name),
            ("Scopes", ", ".join(record.scopes)),
            ("Networks", ", ".join(record.networks) or "anywhere"),
            ("Made", moment(record.created_at)),
            ("Ends", moment(record.expires_at) or "never"),
            ("Last used", moment(record.last_used_at) or "never"),
            ("Revoked", moment(record.revoked_at) or "no"),
        ]
        return [Section("Token", facts=facts)]
