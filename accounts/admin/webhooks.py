"""Endpoints of webhooks in the admin: add, choose events, rotate, pause, start again, try, settle what was lost."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html

from accounts import subscribing, webhooks
from accounts.admin_base import Act, Eyes, FreshAct, RecordAdmin, Section, asking
from accounts.models import EndpointState, User, WebhookEndpoint
from accounts.roles import sees_sealed
from accounts.safeguards import outbox
from accounts.templatetags.portal_tags import moment

# What the class of an error means; any other is shown by its own name.
FAILURES = {
    "AddressRefused": "its name leads to no address that may be reached",
    "ConnectionRefusedError": "nothing listens there",
    "EndpointWaits": "waits: the endpoint is paused or failed a moment ago",
    "ReceiverFails": "the receiver had an error of its own",
    "ReceiverIsGone": "the receiver wants no more events (410)",
    "ReceiverRedirects": "the receiver pointed elsewhere, which is never followed",
    "ReceiverRefuses": "the receiver refused it",
    "SSLCertVerificationError": "its certificate could not be verified",
    "TookTooLong": "the receiver did not answer in time",
}


class EventsForm(forms.Form):
    """Which events an endpoint takes."""

    events = forms.MultipleChoiceField(label="Events it takes", widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["events"]
        field.choices = [(event.name, _told(event)) for event in subscribing.choosable(by)]


class EndpointForm(EventsForm):
    """A new endpoint."""

    name = forms.CharField(label="System that receives", max_length=60, help_text="For instance: billing")
    url = forms.CharField(
        label="Address",
        max_length=500,
        help_text="https:// without user, password, ? or #: the signature proves who sends.",
    )
    field_order = ("name", "url", "events")


class RotateForm(forms.Form):
    """Which secret the form was made for."""

    seen = forms.CharField(widget=forms.HiddenInput)


class AddEndpoint(FreshAct):
    """Add an endpoint and show its secret once."""

    slug, label, permission = "add-endpoint", "Add an endpoint", subscribing.MANAGE
    needs_record = False

    def consequences(self, record: Any) -> list[str]:
        return [
            "The secret is shown once, on the next page. It is stored encrypted and cannot be read again.",
            "Each event it takes is sent from now on. Events hold identifiers only.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(EndpointForm(data, by=_user(self)))

    def perform(self, record: Any, form: forms.Form, user: User) -> Section:
        given = form.cleaned_data
        endpoint, secret = subscribing.add(given["name"], given["url"], given["events"], by=user)
        return _shown_once(endpoint, secret)


class ChooseEvents(Act):
    """Change which events it takes."""

    slug, label, permission = "events", "Change the events it takes", subscribing.MANAGE

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(EventsForm(data, by=_user(self), initial={"events": record.events}))

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        subscribing.choose(record.pk, form.cleaned_data["events"], by=user)
        return f"Endpoint {record.name} takes other events from now on."


class Rotate(FreshAct):
    """Make a new secret and show it once."""

    slug, label, permission = "rotate", "Change the secret", subscribing.MANAGE

    def consequences(self, record: Any) -> list[str]:
        return [
            "The new secret is shown once, on the next page.",
            "Each event is signed with both secrets for 24 hours, then with the new one alone.",
            "A secret that was changed before ends now.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(RotateForm(data, initial={"seen": record.rotation}))

    def perform(self, record: Any, form: forms.Form, user: User) -> Section:
        return _shown_once(*subscribing.rotate(record.pk, by=user, seen=form.cleaned_data["seen"]))


class PauseEndpoint(Act):
    """Send it nothing."""

    slug, label, permission = "pause", "Pause this endpoint", subscribing.MANAGE

    def hindrance(self, record: Any, user: User) -> str:
        return "" if record.state == EndpointState.ACTIVE else "This endpoint is paused already."

    def consequences(self, record: Any) -> list[str]:
        days = outbox.KEPT_FOR.days
        return [
            "Events that happen while it is paused are not sent to it, then or later.",
            f"What waits already goes when it is started again, or is lost {days} days after it happened.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        subscribing.pause(record.pk, by=user)
        return f"Endpoint {record.name} is paused."


class ResumeEndpoint(Act):
    """Send to it again."""

    slug, label, permission = "resume", "Start sending again", subscribing.MANAGE

    def hindrance(self, record: Any, user: User) -> str:
        return "" if record.state == EndpointState.PAUSED else "This endpoint is active."

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        subscribing.resume(record.pk, by=user)
        return f"Endpoint {record.name} is sent its events again."


class SendTest(Act):
    """Send it a test event."""

    slug, label, permission = "test", "Send a test event", subscribing.MANAGE

    def hindrance(self, record: Any, user: User) -> str:
        return "" if record.state == EndpointState.ACTIVE else "This endpoint is paused."

    def consequences(self, record: Any) -> list[str]:
        return [f"An event {webhooks.TEST} without data is sent. Its delivery stands on the endpoint's page."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        subscribing.send_test(record.pk, by=user)
        return f"A test event for {record.name} is on its way."


class Settle(Act):
    """Take what was lost off the front page."""

    slug, label, permission = "settle", "Mark lost events as looked at", subscribing.MANAGE

    def hindrance(self, record: Any, user: User) -> str:
        return "" if record.lost else "It has lost no event since somebody last looked."

    def consequences(self, record: Any) -> list[str]:
        return ["The events stay lost. Tell the other system to ask the API for what it missed."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        subscribing.settle(record.pk, by=user)
        return f"Lost events of {record.name} are marked as looked at."


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(RecordAdmin):
    """Where signed webhooks go."""

    acts = (AddEndpoint, ChooseEvents, Rotate, PauseEndpoint, ResumeEndpoint, SendTest, Settle)
    list_display = ("name", "state", "created_at", "last_sent_at", "last_failed_at", "lost")
    list_filter = ("state",)
    ordering = ("name", "pk")
    subject_field = "pk"

    def name_of(self, record: Any) -> str:
        return f"webhook endpoint {record.name}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        sees = sees_sealed(eyes.user)
        events = [name for name in record.events if sees or not name.startswith(outbox.SEALED)]
        overlaps = record.previous_until is not None and timezone.now() < record.previous_until
        facts = [
            ("Name", record.name),
            ("Address", record.url),
            ("Events it takes", "\n".join(events) or "none you may see"),
            ("What is sent", "identifiers only, no name, address or text of a person"),
            ("State", record.get_state_display()),
            ("Paused", moment(record.paused_at) or "no"),
            ("Paused by", _paused_by(eyes, record)),
            ("Previous secret signs until", moment(record.previous_until) if overlaps else "it has ended"),
            ("Last sent", moment(record.last_sent_at) or "never"),
            ("Last failure", _failure(record.last_failure) or "none since it was last sent something"),
            ("Last failed", moment(record.last_failed_at) or "never"),
            ("Lost events", f"{record.lost} since somebody last looked"),
            ("Added", moment(record.created_at)),
            ("Added by", eyes.who(record.created_by)),
        ]
        rows = [
            (
                webhooks.type_of(one),
                one.get_state_display(),
                one.attempts,
                _failure(one.last_error) or "none",
                moment(one.created_at),
                moment(one.ended_at) or "not yet",
            )
            for one in webhooks.deliveries(record.pk, sealed=sees)
        ]
        head = ("Event", "State", "Attempts", "Last error", "Written", "Ended")
        none = "Nothing was sent to it within 30 days."
        return [Section("Endpoint", facts=facts), Section("Last deliveries", head=head, rows=rows, empty=none)]


def _user(act: Act) -> User:
    user = act.request.user
    assert isinstance(user, User)  # noqa: S101 - the site has let nobody else in
    return user


def _told(event: webhooks.Event) -> str:
    return f"{event.type}: {event.about}" if event.about else event.type


def _shown_once(endpoint: WebhookEndpoint, secret: str) -> Section:
    facts = [("Endpoint", endpoint.name), ("Secret", format_html("<code>{}</code>", secret))]
    return Section("Copy the secret now: it is not shown again", facts=facts)


def _paused_by(eyes: Eyes, record: WebhookEndpoint) -> str:
    if record.state != EndpointState.PAUSED:
        return "nobody"
    return eyes.who(record.paused_by) if record.paused_by else "the receiver: it wants no more events"


def _failure(name: str) -> str:
    return FAILURES.get(name, name)
