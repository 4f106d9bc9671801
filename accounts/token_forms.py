"""The form of a customer's own API token."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts import scopes
from accounts.issuing import LONGEST_DAYS
from accounts.models import AccountToken
from accounts.networks import clean_networks
from accounts.page_forms import SentOnce
from accounts.safeguards.cards import refuse_card_number

USUAL_DAYS = 90
LONGEST_NETWORKS = 2000


class TokenForm(SentOnce):
    """A name, what it opens, how long, and from where."""

    name = forms.CharField(
        label=_("Name"),
        help_text=_("For you to tell your tokens apart."),
        max_length=AccountToken._meta.get_field("name").max_length,
        validators=[refuse_card_number],
        error_messages={"required": _("Give the token a name.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it opens"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": _("Choose what the token opens."),
            "invalid_choice": _("Choose from the list what the token opens."),
        },
    )
    days = forms.IntegerField(
        label=_("Days until it ends"),
        min_value=1,
        max_value=LONGEST_DAYS,
        initial=USUAL_DAYS,
        error_messages={
            "required": _("Enter after how many days it ends."),
            "invalid": _("Enter the days as a whole number."),
        },
    )
    networks = forms.CharField(
        label=_("Networks it works from"),
        help_text=_("One to a line, like 203.0.113.0/24. Leave this empty and it works from anywhere."),
        required=False,
        max_length=LONGEST_NETWORKS,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
        validators=[refuse_card_number],
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["scopes"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - declared above
        field.choices = list(scopes.carried_by(scopes.Holder.CUSTOMER).items())

    def clean_networks(self) -> list[str]:
        """Return the networks, one to a line; raise ValidationError for what is none."""
        return clean_networks(self.cleaned_data["networks"].splitlines())
