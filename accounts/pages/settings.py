"""The settings of the signed-in person, customer or staff: time zone, light or dark, and the ways to the rest."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import settling
from accounts.doors import customer, is_too_often, personal_page, too_often
from accounts.models.people import Theme
from accounts.zones import zones


class SettingsForm(forms.Form):
    """Time zone and look; an empty zone is the portal's own."""

    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        required=False,
        help_text=gettext_lazy("All times you see here are shown in it."),
        error_messages={"invalid_choice": gettext_lazy("Choose a time zone from the list.")},
    )
    theme = forms.ChoiceField(
        label=gettext_lazy("How pages look"),
        choices=[
            (Theme.AUTO, gettext_lazy("As your device asks")),
            (Theme.LIGHT, gettext_lazy("Always light")),
            (Theme.DARK, gettext_lazy("Always dark")),
        ],
        widget=forms.RadioSelect,
        error_messages={
            "required": gettext_lazy("Choose how pages look."),
            "invalid_choice": gettext_lazy("Choose how pages look."),
        },
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["time_zone"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        ours = _("As the portal: %(zone)s") % {"zone": settings.TIME_ZONE.replace("_", " ")}
        field.choices = [("", ours), *((name, name.replace("_", " ")) for name in zones())]


@personal_page
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show the settings, and save them."""
    user = customer(request)
    form = SettingsForm(request.POST or None, initial={"time_zone": user.time_zone, "theme": user.theme})
    if request.method == "POST" and form.is_valid():
        if is_too_often(request, "change_settings", user=user):
            return too_often(request)
        changed = settling.settle(user.pk, **form.cleaned_data)
        messages.success(request, _("Your settings are saved.") if changed else _("Nothing was changed."))
        return redirect("accounts:settings")
    return render(request, "accounts/settings.html", {"form": form, "is_customers": user.account_id is not None})
