"""The forms of the pages about people: contacts, addresses, billing, e-mail address, members.

Fields that ask for somebody's own facts name them for the browser (WCAG 1.3.5), and every text refuses card numbers.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts import countries
from accounts.changing_email import LONGEST_CODE
from accounts.contacts import Billing, Facts, Place
from accounts.members import MEANS
from accounts.models import Address, BillingProfile, Contact
from accounts.page_forms import SentOnce
from accounts.phones import clean_phone, shown_phone
from accounts.registering import clean_username
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.finding import clean_email

LONGEST_EMAIL = 254
CONTACT_ROLES = [
    (Contact.Role.BILLING.value, _("Billing")),
    (Contact.Role.TECHNICAL.value, _("Technical")),
    (Contact.Role.ABUSE.value, _("Abuse reports")),
]
KINDS = [(Address.Kind.BILLING.value, _("Billing address")), (Address.Kind.POSTAL.value, _("Postal address"))]
BILLED = [
    (BillingProfile.Kind.INDIVIDUAL.value, _("A person")),
    (BillingProfile.Kind.COMPANY.value, _("A company")),
]
CURRENCIES = ("USD", "AUD", "CAD", "CHF", "EUR", "GBP")


def _text(label: Any, length: int, complete: str = "off", *, missing: Any = "", **given: Any) -> forms.CharField:
    widget = given.pop("widget", forms.TextInput)(attrs={"autocomplete": complete, **given.pop("attrs", {})})
    return forms.CharField(
        label=label,
        max_length=length,
        required=bool(missing),
        widget=widget,
        validators=[refuse_card_number],
        error_messages={"required": missing} if missing else None,
        **given,
    )


class ContactForm(SentOnce):
    """A contact that is no owner: name, role, company, e-mail, telephone."""

    role = forms.ChoiceField(
        label=_("What this contact is for"),
        choices=CONTACT_ROLES,
        error_messages={"required": _("Choose what this contact is for."), "invalid_choice": _("Choose one of these.")},
    )
    name = _text(_("Name"), 200, "name", missing=_("Enter a name."))
    company = _text(_("Company (optional)"), 200, "organization")
    email = forms.CharField(
        label=_("E-mail"),
        max_length=LONGEST_EMAIL,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={"required": _("Enter an e-mail address.")},
    )
    phone = _text(_("Telephone (optional)"), 40, "tel", widget=forms.TextInput, attrs={"type": "tel"})

    def __init__(self, *args: Any, contact: Contact | None = None, country: str | None = None, **kwargs: Any) -> None:
        roles = kwargs.pop("roles", None)
        if contact is not None:
            own = {name: getattr(contact, name) for name in ("role", "name", "company", "email")}
            kwargs["initial"] = {**own, "phone": shown_phone(contact.phone)}
        super().__init__(*args, **kwargs)
        self.country = country
        self.fields["phone"].help_text = _("With its country code, for example +1 312 555 0142.")
        if roles is not None:
            field = self.fields["role"]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
            field.choices = [choice for choice in CONTACT_ROLES if choice[0] in roles]
        if contact is not None and contact.role == Contact.Role.OWNER:
            del self.fields["role"], self.fields["email"]

    def clean_email(self) -> str:
        """Return the address; a look-alike is refused."""
        return clean_email(self.cleaned_data["email"])

    def clean_phone(self) -> str | None:
        """Return the number as E.164."""
        return clean_phone(self.cleaned_data["phone"], self.country)

    def facts(self) -> Facts:
        """Return what was typed, for the act."""
        given = self.cleaned_data
        return Facts(given["name"], given["company"], given.get("email"), given["phone"], given.get("role"))


class AddressForm(SentOnce):
    """A postal or billing address."""

    kind = forms.ChoiceField(
        label=_("What this address is for"),
        choices=KINDS,
        error_messages={"required": _("Choose what this address is for."), "invalid_choice": _("Choose one of these.")},
    )
    street = _text(
        _("Street and number"),
        300,
        "street-address",
        missing=_("Enter street and number."),
        widget=forms.Textarea,
        attrs={"rows": 2},
    )
    postcode = _text(_("Postcode (optional)"), 20, "postal-code")
    city = _text(_("City"), 120, "address-level2", missing=_("Enter the city."))
    region = _text(_("State or region (optional)"), 120, "address-level1")
    country = forms.ChoiceField(
        label=_("Country"),
        widget=forms.Select(attrs={"autocomplete": "country"}),
        choices=lambda: [("", "–"), *countries.choices()],
        error_messages={
            "required": _("Choose a country from the list."),
            "invalid_choice": _("Choose a country from the list."),
        },
    )

    def __init__(self, *args: Any, address: Address | None = None, **kwargs: Any) -> None:
        if address is not None:
            names = ("kind", "street", "postcode", "city", "region", "country")
            kwargs["initial"] = {name: getattr(address, name) for name in names}
        super().__init__(*args, **kwargs)

    def place(self) -> Place:
        """Return what was typed, for the act."""
        given = self.cleaned_data
        return Place(
            given["kind"], given["street"], given["city"], given["country"], given["region"], given["postcode"]
        )


class BillingForm(forms.Form):
    """How the account is billed."""

    kind = forms.ChoiceField(
        label=_("Who is billed"),
        choices=BILLED,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose who is billed."), "invalid_choice": _("Choose one of these.")},
    )
    currency = forms.ChoiceField(
        label=_("Currency"),
        choices=[(code, code) for code in CURRENCIES],
        widget=forms.Select(attrs={"autocomplete": "transaction-currency"}),
        error_messages={"required": _("Choose a currency."), "invalid_choice": _("Choose one of these currencies.")},
    )
    tax_number = _text(_("Tax number (optional)"), 40)
    company_number = _text(_("Company number (optional)"), 40)

    def __init__(self, *args: Any, profile: BillingProfile | None = None, **kwargs: Any) -> None:
        names = ("kind", "currency", "tax_number", "company_number")
        kwargs["initial"] = {name: getattr(profile or BillingProfile(), name) for name in names}
        super().__init__(*args, **kwargs)
        field = self.fields["currency"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        if profile is not None and profile.currency not in CURRENCIES:
            # An imported account keeps the currency it has.
            field.choices = [(profile.currency, profile.currency), *((code, code) for code in CURRENCIES)]

    def billing(self) -> Billing:
        """Return what was typed, for the act."""
        return Billing(**self.cleaned_data)


class NewEmailForm(SentOnce):
    """The new address."""

    email = forms.CharField(
        label=_("New e-mail address"),
        max_length=LONGEST_EMAIL,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={"required": _("Enter the new e-mail address.")},
    )

    def clean_email(self) -> str:
        """Return the address; a look-alike is refused."""
        return clean_email(self.cleaned_data["email"])


def _code(label: Any) -> forms.CharField:
    attrs = {"autocomplete": "one-time-code", "autocapitalize": "characters", "spellcheck": "false"}
    return forms.CharField(label=label, max_length=LONGEST_CODE, required=False, widget=forms.TextInput(attrs=attrs))


class CodesForm(forms.Form):
    """The codes of both mails, together or one after the other."""

    old_code = _code(_("Code from the mail to your old address"))
    new_code = _code(_("Code from the mail to your new address"))

    def __init__(self, *args: Any, missing: tuple[str, ...] = ("old_code", "new_code"), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in set(self.fields) - set(missing):
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """Return the codes; none at all is a mistake."""
        given: dict[str, Any] = super().clean() or {}
        if not any(str(code).strip() for code in given.values()) and not self.errors:
            raise ValidationError(_("Enter the code from one of the mails."))
        return given


class StopForm(forms.Form):
    """The code of one mail, to end the change it is about."""

    code = _code(_("Code from the mail"))

    def clean_code(self) -> str:
        """Return the code; none is a mistake."""
        code = str(self.cleaned_data["code"]).strip()
        if not code:
            raise ValidationError(_("Enter the code from the mail."))
        return code


def _role() -> forms.ChoiceField:
    return forms.ChoiceField(
        label=_("What this member may do"),
        choices=list(MEANS.items()),
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose what this member may do."),
            "invalid_choice": _("Choose one of these roles."),
        },
    )


class InviteForm(SentOnce):
    """Whom to invite, and to what."""

    email = forms.CharField(
        label=_("E-mail address of the new member"),
        max_length=LONGEST_EMAIL,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
        error_messages={"required": _("Enter an e-mail address.")},
    )
    role = _role()

    def clean_email(self) -> str:
        """Return the address; a look-alike is refused."""
        return clean_email(self.cleaned_data["email"])


class RoleForm(forms.Form):
    """Another role for a member."""

    role = _role()


class JoinForm(forms.Form):
    """Name and password of a new member."""

    name = _text(_("Your name"), 200, "name", missing=_("Enter your name."))
    username = _text(
        _("User name (optional)"),
        60,
        "username",
        help_text=_("To sign in with instead of your e-mail address."),
        attrs={"autocapitalize": "none", "spellcheck": "false"},
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": _("Enter a password.")},
    )

    def clean_username(self) -> str | None:
        """Return the user name, or None for none."""
        typed = str(self.cleaned_data["username"]).strip()
        return clean_username(typed) if typed else None

    def clean_password(self) -> str:
        """Return the password; one that is too easy is refused."""
        password = str(self.cleaned_data["password"])
        validate_password(password)
        return password
