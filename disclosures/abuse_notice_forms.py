"""The forms with which a customer answers a notice of abuse, and those of a counter-notice (17 USC 512(g)(3))."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email
from accounts.uploading import UploadsField
from disclosures.models import AbuseNoticeItem, CounterNotice
from disclosures.report_forms import Words
from disclosures.responding import LONGEST_DONE


class FixedForm(forms.Form):
    """Where something was done, by boxes to tick, and what."""

    items = forms.MultipleChoiceField(
        label=_("Where you did something"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose the places where you did something.")},
    )
    done = Words(
        _("What you did there"),
        rows=4,
        max_length=LONGEST_DONE,
        help_text=_("Write for example: I removed the file."),
        missing=_("Say what you did there."),
    )
    attached = UploadsField(label=_("Files that show it"), required=False)

    def __init__(self, left: Sequence[AbuseNoticeItem], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self.fields["items"], left)

    def done_by_item(self) -> dict[UUID, str]:
        """Return what was done by the id of each chosen place."""
        return {UUID(pk): self.cleaned_data["done"] for pk in self.cleaned_data["items"]}


class DisagreeForm(forms.Form):
    """Why the customer disagrees."""

    text = Words(_("Why you disagree"), rows=6, max_length=5_000, missing=_("Say why you disagree."))


class TimeForm(forms.Form):
    """Why the customer needs more time."""

    reason = Words(_("Why you need more time"), rows=4, max_length=2_000, missing=_("Say why you need more time."))


class AppealForm(forms.Form):
    """Why a strike does not stand."""

    text = Words(
        _("Why the strike does not stand"), rows=6, max_length=5_000, missing=_("Say why the strike does not stand.")
    )


class CounterForm(forms.Form):
    """What comes back, why, and who says so; what we know is filled in."""

    items = forms.MultipleChoiceField(
        label=_("What should come back"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one place.")},
    )
    reason = forms.ChoiceField(
        label=_("Why it should come back"),
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose why it should come back.")},
    )
    statement = Words(
        _("Why, in your own words"),
        rows=6,
        max_length=5_000,
        missing=_("Say in your own words why it should come back."),
    )
    name = Words(
        _("Your full name"),
        max_length=200,
        missing=_("Enter your full name."),
    )
    address = Words(_("Your postal address"), rows=4, max_length=1_000, missing=_("Enter your postal address."))
    phone = Words(_("Your telephone number"), max_length=40, missing=_("Enter your telephone number."))
    email = Words(_("Your e-mail address"), max_length=254, missing=_("Enter your e-mail address."))
    is_outside_us = forms.BooleanField(label=_("My address is outside the United States"), required=False)

    AUTOCOMPLETE = {"name": "name", "address": "street-address", "phone": "tel", "email": "email"}

    def __init__(self, disabled: Sequence[AbuseNoticeItem], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self.fields["items"], disabled)
        choice: Any = self.fields["reason"]
        choice.choices = [(value, REASONS[value]) for value in CounterNotice.Reason.values]
        for name, token in self.AUTOCOMPLETE.items():
            self.fields[name].widget.attrs["autocomplete"] = token

    def clean_email(self) -> str:
        """Return the address as it is written to."""
        return clean_email(self.cleaned_data["email"])


class SignForm(forms.Form):
    """The typed name that signs; it must be that of the counter-notice."""

    signature = Words(_("Type your full name to sign"), max_length=200, missing=_("Type your full name."))

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["signature"].widget.attrs["autocomplete"] = "name"

    def clean_signature(self) -> str:
        """Return the name; raise ValidationError where it is another."""
        given = str(self.cleaned_data["signature"])
        refuse_card_number(given)
        if " ".join(given.split()).casefold() != " ".join(self.name.split()).casefold():
            raise forms.ValidationError(_("Type the name as it stands above."))
        return given


REASONS = {
    CounterNotice.Reason.OWN.value: _("I made it, or the rights are mine"),
    CounterNotice.Reason.LICENSE.value: _("I have permission to use it"),
    CounterNotice.Reason.FAIR_USE.value: _("The law allows this use (fair use)"),
    CounterNotice.Reason.PUBLIC.value: _("It is in the public domain"),
    CounterNotice.Reason.MISTAKEN.value: _("It is something else than they say"),
    CounterNotice.Reason.NOT_THERE.value: _("It never was at that address"),
    CounterNotice.Reason.OTHER.value: _("Another reason"),
}


def _offer(field: Any, items: Sequence[AbuseNoticeItem]) -> None:
    field.choices = [(str(item.pk), str(item.location)) for item in items]
