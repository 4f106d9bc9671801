"""The stop switches of the purge in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin

from accounts import datamap
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.models import User
from accounts.templatetags.portal_tags import moment
from retention import switching
from retention.models import PurgeSwitch


class SwitchForm(forms.Form):
    """What to switch."""

    category = forms.ChoiceField(label="What", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(category.value, category.label) for category in datamap.categories()]
        self.fields["category"].choices = [("", "Everything"), *names]  # type: ignore[attr-defined]


class StopPurge(Act):
    """Stop the purge."""

    slug, label, permission = "stop", "Stop the purge", "retention.stop_purge"
    form_class = SwitchForm
    needs_record = False

    def consequences(self, record: Any) -> list[str]:
        return ["Nothing new is erased until somebody starts it again. What is due stays due."]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [stopped()]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        switch = switching.stop(form.cleaned_data["category"], by=user)
        return f"The purge of {switching.name_of(switch.category)} is stopped."


class StartPurge(StopPurge):
    """Let the purge go on."""

    slug, label = "start", "Start the purge"

    def consequences(self, record: Any) -> list[str]:
        return ["What is due and held by nothing is erased from the next round on."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        switch = switching.start(form.cleaned_data["category"], by=user)
        return f"The purge of {switching.name_of(switch.category)} goes on."


def stopped() -> Section:
    """Return what is stopped now."""
    rows = [(switching.name_of(category),) for category in sorted(PurgeSwitch.stopped())]
    return Section("Stopped now", head=("What",), rows=rows, empty="Nothing is stopped.")


@admin.register(PurgeSwitch)
class PurgeSwitchAdmin(RecordAdmin):
    """The stop switches, each change a row."""

    acts = (StopPurge, StartPurge)
    list_display = ("set_at", "what", "is_stopped", "set_by")
    ordering = ("-set_at",)

    def name_of(self, record: Any) -> str:
        return f"purge switch for {self.what(record)}"

    def columns(self, eyes: Eyes) -> dict[str, Any]:
        return {"set_by": lambda switch: eyes.who(switch.set_by)}

    @admin.display(description="what")
    def what(self, switch: PurgeSwitch) -> str:
        return switching.name_of(switch.category)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("What", self.what(record)),
            ("Stopped", "yes" if record.is_stopped else "no"),
            ("Set", moment(record.set_at)),
            ("Set by", eyes.who(record.set_by)),
        ]
        return [Section("Switch", facts=facts), stopped()]
