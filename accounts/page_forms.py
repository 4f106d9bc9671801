"""The forms of the customer pages. What adds something carries the id of its sending: sent twice, it counts once.

The id becomes that of the row. After a day the sweep deletes a row that was removed, unless a hold keeps it: a form
counts for one day only, or sending an old one again would tell which of the two it was (silence.md, S7).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.keys.identifiers import made_at, uuid7
from accounts.models import PaymentMethod, TicketMessage
from accounts.safeguards.cards import refuse_card_number
from accounts.uploading import UploadsField

# The schedule's time for rows that were removed (retention/schedule.py, "removed"): never longer than that.
GOOD_FOR = dt.timedelta(days=1)
TOO_OLD = _("This page was open for too long. Look at what you typed and send it again.")

LONGEST_SUBJECT = 200
LONGEST_BODY = TicketMessage._meta.get_field("body").max_length


class SentOnce(forms.Form):
    """A form with a hidden id that is made when the page is shown; one of too long ago comes back with a new id."""

    submission = forms.UUIDField(
        widget=forms.HiddenInput,
        initial=uuid7,
        error_messages={
            "required": _("Load the page again, then send it once more."),
            "invalid": _("Load the page again, then send it once more."),
        },
    )

    def clean_submission(self) -> UUID:
        """Return the id; a form that was shown too long ago is refused, and can be sent again as it then is."""
        sent: UUID = self.cleaned_data["submission"]
        if not is_recent(sent, timezone.now()):
            given: Any = self.data
            given = given.copy()
            given[self.add_prefix("submission")] = str(uuid7())
            self.data = given
            self.add_error(None, TOO_OLD)
        return sent


def is_recent(submission: UUID, at: dt.datetime) -> bool:
    """Return whether a form of this id counts at `at`; one made up for later than now would outlive its row."""
    made = made_at(submission)
    return made is not None and dt.timedelta(0) <= at - made < GOOD_FOR


class ReplyForm(SentOnce):
    """One message of a conversation."""

    body = forms.CharField(
        label=_("Your message"),
        max_length=LONGEST_BODY,
        widget=forms.Textarea(attrs={"rows": 6}),
        validators=[refuse_card_number],
        error_messages={"required": _("Write your message.")},
    )
    attached = UploadsField(label=_("Files, if they help"), required=False)


class TicketForm(ReplyForm):
    """A new conversation."""

    subject = forms.CharField(
        label=_("Subject"),
        max_length=LONGEST_SUBJECT,
        validators=[refuse_card_number],
        error_messages={"required": _("Write in a few words what it is about.")},
    )
    field_order = ("subject", "body", "attached")


class PayForm(forms.Form):
    """Which method pays an invoice; a paid one is not paid again, however often this is sent."""

    method = forms.ChoiceField(
        label=_("Pay with"),
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose how you want to pay."),
            "invalid_choice": _("This payment method is not on file any more. Choose another one."),
        },
    )

    def __init__(self, methods: Iterable[PaymentMethod], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["method"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [(str(method.pk), _words(method)) for method in methods]


def _words(method: PaymentMethod) -> str:
    facts = {"brand": method.brand, "digits": method.last_four, "expiry": method.expiry}
    if method.expiry:
        return _("%(brand)s ending in %(digits)s, expires %(expiry)s") % facts
    return _("%(brand)s ending in %(digits)s") % facts
