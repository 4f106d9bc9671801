"""The register of recipients in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin

from accounts.admin_base import Act, Eyes, RecordAdmin, Section, asking
from accounts.models import User
from accounts.templatetags.portal_tags import moment
from disclosures import registering
from disclosures.models import Recipient
from disclosures.registering import Entry


class EntryForm(forms.Form):
    """What the register holds."""

    name = forms.CharField(label="Name of the organisation", max_length=200)
    jurisdiction = forms.RegexField(
        label="Jurisdiction",
        regex=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
        help_text="Two letters for a country, for the United States with the state: US-IL.",
        error_messages={"invalid": "Write two capital letters, with a state where there is one: US-IL."},
    )
    email = forms.CharField(
        label="E-mail on file", max_length=254, help_text="Not the one in a letter that just came. Find it yourself."
    )
    verified_how = forms.CharField(
        label="How it was made sure", max_length=200, help_text="A directory, a call to a published number, a contract."
    )
    contact_name = forms.CharField(label="Contact", max_length=200, required=False)
    phone = forms.CharField(label="Telephone on file", max_length=40, required=False)
    postal = forms.CharField(
        label="Postal address", max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    age_key = forms.CharField(
        label="Public key (age)",
        max_length=80,
        required=False,
        help_text="Files are encrypted for whoever has its other half.",
    )
    contract = forms.CharField(label="Contract", max_length=60, required=False, help_text="A partner needs one.")
    contract_until = forms.DateField(
        label="Contract until", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    @property
    def entry(self) -> Entry:
        """Return what was entered."""
        return Entry(**{name: self.cleaned_data[name] for name in EntryForm.base_fields})


class RegisterForm(EntryForm):
    """A new recipient."""

    kind = forms.ChoiceField(label="What it is", choices=Recipient.Kind.choices, widget=forms.RadioSelect)
    field_order = ("kind",)


class RegisterRecipient(Act):
    """Add a recipient."""

    slug, label, permission = "register", "Register a recipient", registering.REGISTER
    form_class = RegisterForm
    needs_record = False

    def consequences(self, record: Any) -> list[str]:
        return [
            "Disclosures can be made to it, each by one person and approved by another.",
            "Customers can agree to share with a partner until its contract ends.",
            "What it is cannot be changed later.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given: Any = form
        made = registering.register(form.cleaned_data["kind"], given.entry, by=user)
        return f"Recipient {made.reference} is registered."


class ChangeRecipient(Act):
    """Change what is on file."""

    slug, label, permission = "edit", "Change what is on file", registering.REGISTER

    def hindrance(self, record: Any, user: User) -> str:
        return "This recipient is closed." if record.closed_at else ""

    def form(self, record: Any, data: Any = None) -> forms.Form:
        initial = {name: getattr(record, name) for name in EntryForm.base_fields}
        return asking(EntryForm(data, initial=initial))

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given: Any = form
        registering.change(record.pk, given.entry, by=user)
        return f"Recipient {record.reference} is changed."


class CloseRecipient(Act):
    """End that it can be given anything."""

    slug, label, permission = "close", "Close this recipient", registering.REGISTER

    def hindrance(self, record: Any, user: User) -> str:
        return "This recipient is closed." if record.closed_at else ""

    def consequences(self, record: Any) -> list[str]:
        return ["It can be given nothing any more. What waits for a release to it is not released.", "This stays so."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        registering.close(record.pk, by=user)
        return f"Recipient {record.reference} is closed."


@admin.register(Recipient)
class RecipientAdmin(RecordAdmin):
    """Who may be given something."""

    acts = (RegisterRecipient, ChangeRecipient, CloseRecipient)
    list_display = ("reference", "name", "kind", "jurisdiction", "registered_at", "closed_at")
    list_filter = ("kind",)
    ordering = ("name", "pk")
    subject_field = "pk"

    def name_of(self, record: Any) -> str:
        return f"recipient {record.reference}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Reference", record.reference),
            ("Name", record.name),
            ("What it is", record.get_kind_display()),
            ("Jurisdiction", record.jurisdiction),
            *eyes.facts(record),
            ("Public key (age)", record.age_key or "none"),
            ("Contract", record.contract or "none"),
            ("Contract until", record.contract_until or "no end"),
            ("How it was made sure", record.verified_how),
            ("Registered", moment(record.registered_at)),
            ("Registered by", eyes.who(record.registered_by)),
            ("Closed", moment(record.closed_at) or "no"),
        ]
        return [Section("Recipient", facts=facts)]
