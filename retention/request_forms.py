"""The forms of privacy requests, for people with and without a sign-in; one right is asked for on one page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts import datamap, restricting
from accounts.page_forms import ReplyForm, SentOnce
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email
from accounts.uploads import Upload, check_upload
from retention import asking, proving
from retention.forms import from_mail
from retention.models import RequestMessage
from retention.models.privacy import Regime, Right
from retention.requesting import Wish

LONGEST_DETAILS = RequestMessage._meta.get_field("body").max_length or 5_000
LAWS = [
    (Regime.CCPA.value, _("California")),
    (Regime.GDPR.value, _("European Union, or a country with the same law")),
    (Regime.VOLUNTARY.value, _("Somewhere else, or I do not know")),
]
# Rights that need the person's words to be worked on.
IN_WORDS = {Right.RECTIFICATION.value, Right.COMPLAINT.value}
USES_NAMED = {Right.RESTRICTION.value, Right.OBJECTION.value}
# What a signed permission may be.
SIGNED = {"application/pdf", "image/png", "image/jpeg"}
# Rights that may be about one kind of data.
OF_CATEGORIES = {Right.ACCESS.value, Right.PORTABILITY.value, Right.RECTIFICATION.value}


class WishForm(SentOnce):
    """What every request asks for, with or without a sign-in: fields follow from the right."""

    regime = forms.ChoiceField(
        label=_("Which law protects you?"),
        choices=LAWS,
        initial=Regime.CCPA.value,
        widget=forms.RadioSelect,
        help_text=_("It decides by when we answer. If you do not know, we answer as for California."),
        error_messages={"required": _("Choose where you live."), "invalid_choice": _("Choose where you live.")},
    )
    purposes = forms.MultipleChoiceField(
        label=_("Which use has to stop?"),
        widget=forms.CheckboxSelectMultiple,
        choices=[(use.purpose.value, use.purpose.label) for use in restricting.USES.values()],
        help_text=_("Stopping what your services need may end them. We ask you before that."),
        error_messages={
            "required": _("Choose at least one use."),
            "invalid_choice": _("Choose from the uses on this page."),
        },
    )
    category = forms.ChoiceField(
        label=_("About which data?"),
        required=False,
        choices=[("", _("All of it")), *((each.value, each.label) for each in datamap.Category)],
        error_messages={"invalid_choice": _("Choose from the kinds of data on this page.")},
    )
    details = forms.CharField(
        label=_("What do you want us to do?"),
        max_length=LONGEST_DETAILS,
        widget=forms.Textarea(attrs={"rows": 6}),
        validators=[refuse_card_number],
        help_text=_("In your own words. Write no passwords and no card numbers."),
        error_messages={"required": _("Write what you want us to do.")},
    )

    def __init__(self, right: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.right = right
        if right not in USES_NAMED:
            del self.fields["purposes"]
        if right not in OF_CATEGORIES:
            del self.fields["category"]
        self.fields["details"].required = right in IN_WORDS

    def wish(self) -> Wish:
        """Return what is asked for."""
        given = self.cleaned_data
        category = given.get("category", "")
        return Wish(
            right=self.right,
            regime=given["regime"],
            purposes=tuple(given.get("purposes", ())),
            categories=(category,) if category else (),
            details=given["details"],
        )


class PersonForm(WishForm):
    """A request of somebody without a sign-in: who it is, and what they can be recognised by."""

    who: ClassVar[Any] = _("Who you are")
    recognised_by: ClassVar[Any] = _("What we can recognise you by")

    name = forms.CharField(
        label=_("Your name"),
        max_length=200,
        validators=[refuse_card_number],
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={"required": _("Enter your name.")},
    )
    email = forms.CharField(
        label=_("Your e-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        help_text=_("We send a code there. It proves that the address is yours."),
        error_messages={"required": _("Enter your e-mail address.")},
    )
    account_number = forms.CharField(
        label=_("Account number, if you know one"), max_length=40, required=False, validators=[refuse_card_number]
    )
    invoice = forms.CharField(
        label=_("Number of an invoice"), max_length=40, required=False, validators=[refuse_card_number]
    )
    postcode = forms.CharField(
        label=_("Postcode"),
        max_length=20,
        required=False,
        validators=[refuse_card_number],
        widget=forms.TextInput(attrs={"autocomplete": "postal-code"}),
    )
    phone = forms.CharField(
        label=_("Telephone number"),
        max_length=40,
        required=False,
        validators=[refuse_card_number],
        widget=forms.TextInput(attrs={"autocomplete": "tel", "type": "tel"}),
    )
    service = forms.CharField(
        label=_("Name of a service or website with us"),
        max_length=200,
        required=False,
        validators=[refuse_card_number],
    )
    declaration = forms.CharField(
        label=_("Sign by typing your full name"),
        max_length=200,
        validators=[refuse_card_number],
        help_text=_("I declare under penalty of perjury that I am the person this data is about."),
        error_messages={"required": _("Type your full name to sign the declaration.")},
    )

    def __init__(self, right: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(right, *args, **kwargs)
        if right not in proving.HIGH:
            del self.fields["declaration"]
        if proving.needed(right) == 0:
            for name in asking.FACTS:
                del self.fields[name]

    @property
    def field_groups(self) -> Iterator[tuple[Any, list[forms.BoundField]]]:
        """Yield (heading, fields) of each part of the page that this right has."""
        parts = (
            (self.who, ("name", "email")),
            (_("What you ask for"), ("regime", "purposes", "category", "details")),
            (self.recognised_by, (*asking.FACTS, "declaration")),
            (_("Who acts for that person"), ("agent_name", "agent_email", "permission")),
        )
        for heading, names in parts:
            fields = [self[name] for name in names if name in self.fields]
            if fields:
                yield heading, fields

    def clean_email(self) -> str:
        """Return the address; look-alikes are refused as everywhere."""
        return clean_email(self.cleaned_data["email"])

    def person(self) -> asking.Person:
        """Return who asks."""
        given = self.cleaned_data
        facts = {name: given[name] for name in (*asking.FACTS, "declaration") if given.get(name)}
        return asking.Person(given["name"], given["email"], facts, self.agent())

    def agent(self) -> asking.Agent | None:
        """Return who acts for the person: nobody, on this form."""
        return None


class AgentForm(PersonForm):
    """A request by an agent, with the permission that the person signed (11 CCR 7063)."""

    who = _("Whom you act for")
    recognised_by = _("What we can recognise that person by")

    agent_name = forms.CharField(
        label=_("Name of the agent"),
        max_length=200,
        validators=[refuse_card_number],
        error_messages={"required": _("Enter the name of whoever acts for you.")},
    )
    agent_email = forms.CharField(
        label=_("E-mail address of the agent"),
        max_length=254,
        widget=forms.EmailInput(),
        error_messages={"required": _("Enter the agent's e-mail address.")},
    )
    permission = forms.FileField(
        label=_("Signed permission"),
        help_text=_("A PDF, PNG or JPEG file of at most 10 MB."),
        widget=forms.FileInput(attrs={"accept": ".pdf,.png,.jpg,.jpeg"}),
        error_messages={
            "required": _("Choose the file with the signed permission."),
            "empty": _("This file is empty. Choose the file with the signed permission."),
            "invalid": _("Choose the file with the signed permission."),
        },
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name of the person you act for")
        self.fields["email"].label = _("That person's e-mail address")
        self.fields["email"].help_text = _("We send them a code there. Entering it says that they agree.")
        if "declaration" in self.fields:
            self.fields["declaration"].help_text = _(
                "I declare under penalty of perjury that this person signed the permission."
            )

    def clean_agent_email(self) -> str:
        """Return the agent's address."""
        return clean_email(self.cleaned_data["agent_email"])

    def clean_permission(self) -> Upload:
        """Return the permission, checked by content."""
        upload = check_upload(self.cleaned_data["permission"])
        if upload.media_type not in SIGNED:
            raise ValidationError(_("Choose a PDF, PNG or JPEG file."))
        refuse_card_number(upload.name)
        return upload

    def agent(self) -> asking.Agent | None:
        """Return who acts for the person."""
        given = self.cleaned_data
        upload: Upload = given["permission"]
        return asking.Agent(given["agent_name"], given["agent_email"], upload.name, upload.content)


class EnterForm(forms.Form):
    """Reference and code of a request, as they stand in the mail."""

    reference = from_mail(_("Reference"), _("Enter the reference from the mail."), _("For example PRV-7F3K-22QM"))
    code = from_mail(_("Code"), _("Enter the code from the mail."))


class MessageForm(ReplyForm):
    """One message of the conversation about a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["body"].max_length = LONGEST_DETAILS  # type: ignore[attr-defined]
        self.fields["body"].validators.append(_longest)


def _longest(text: str) -> None:
    if len(text) > LONGEST_DETAILS:
        raise ValidationError(_("Write at most %(count)s characters."), params={"count": LONGEST_DETAILS})
