"""Legal texts: which there are, in which versions, and who accepted which.

A version is a date and a file, `templates/legal/<document>/<version>.html`, that never changes: its SHA-256 stands
here, and `manage.py check` refuses a file that differs (`accounts.E020`). A new version is a new file and a new line
at the end. A text binds in the language it is written in, so none of it is translated piece by piece. Each user
accepts for themselves, what was shown to them, and is asked again for each new version.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import Acceptance, Account, State, User
from accounts.safeguards import ledger

Document = Acceptance.Document
BINDING_LANGUAGE = _("English")
TITLES = {
    Document.TERMS: _("Terms of service"),
    Document.ACCEPTABLE_USE: _("Acceptable use policy"),
    Document.PRIVACY: _("Privacy notice"),
}
# What a tick says. A notice is read, not agreed to: it asks for no consent.
TICKS = {
    Document.TERMS: _("I accept the terms of service"),
    Document.ACCEPTABLE_USE: _("I accept the acceptable use policy"),
    Document.PRIVACY: _("I have read the privacy notice"),
}


@dataclass(frozen=True)
class LegalText:
    """One version of one document."""

    document: Document
    version: str
    sha256: str

    @property
    def title(self) -> Any:
        """Return what the document is called."""
        return TITLES[self.document]

    @property
    def tick(self) -> Any:
        """Return what accepting it says."""
        return TICKS[self.document]

    @property
    def name(self) -> str:
        """Return how forms call it: another version is another name."""
        return f"{self.document.value}-{self.version}"

    @property
    def since(self) -> dt.date:
        """Return the day it is named after."""
        return dt.date.fromisoformat(self.version)

    @property
    def source(self) -> str:
        """Return the text as it stands in its file."""
        template: Any = get_template(f"legal/{self.document.value}/{self.version}.html")
        return str(template.template.source)

    @property
    def html(self) -> SafeString:
        """Return the text to be shown: our own file, whose hash is known."""
        return mark_safe(self.source)  # noqa: S308 - a file of this repository, checked by its hash


# Oldest first: the last of a document is the current one.
TEXTS: Sequence[LegalText] = (
    LegalText(Document.TERMS, "2026-11-26", "037a59c5a7277c7364ea0bd5bdd7aa4e7d74d2a6ffb715c8bffe723a528c8404"),
    LegalText(
        Document.ACCEPTABLE_USE, "2026-11-26", "f633a9ce7d46b7943f46ab339367360a8c4f46790edfcbb89870c8f929b0f0f0"
    ),
    LegalText(Document.PRIVACY, "2026-11-26", "23da295262057a3acb0229de7788ad2a08ce66ba97c6cc5fafbb449d084c433f"),
)


def versions(document: str) -> list[LegalText]:
    """Return the versions of a document, newest first; none of one there is not."""
    return [text for text in reversed(TEXTS) if text.document == document]


def current() -> list[LegalText]:
    """Return the newest version of every document."""
    return [versions(document)[0] for document in Document]


def find(document: str, version: str) -> LegalText | None:
    """Return one version, or None when it never was."""
    return next((text for text in versions(document) if text.version == version), None)


def unaccepted(user: User) -> list[LegalText]:
    """Return the current texts that a customer has not accepted yet; none for staff."""
    if user.account_id is None:
        return []
    accepted = set(Acceptance.objects.filter(user=user.pk).values_list("document", "version"))
    return [text for text in current() if (text.document.value, text.version) not in accepted]


def accept(
    user: User, texts: Iterable[LegalText], *, ip: str | None = None, at: dt.datetime | None = None
) -> list[Acceptance]:
    """Record that a user accepts these versions, and return what was not accepted before.

    Raises PermissionDenied for staff, who have no account, and NotActionable when the account is closed.
    """
    at = at or timezone.now()
    if user.account_id is None:
        raise PermissionDenied("Legal texts are accepted by the people of an account.")
    with keyring(), transaction.atomic():
        account = Account.objects.locked([user.account_id]).get()
        if account.state != State.ACTIVE:
            raise NotActionable(f"Account {account.number} is closed: there is nothing to accept any more.")
        known = set(Acceptance.objects.filter(user=user.pk).values_list("document", "version"))
        made = [
            _record(user, account, text, ip, at) for text in texts if (text.document.value, text.version) not in known
        ]
    return made


def _record(user: User, account: Account, text: LegalText, ip: str | None, at: dt.datetime) -> Acceptance:
    made = Acceptance.objects.create(
        account=account,
        user=user.pk,
        document=text.document,
        version=text.version,
        text_hash=bytes.fromhex(text.sha256),
        ip=ip,
        accepted_at=at,
    )
    facts = {"document": text.document.value, "version": text.version, "acceptance": made.pk}
    ledger.record(user.actor, "legal_text.accepted", account.pk, at=at, **facts)
    return made


@register()
def check_texts(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Return an error for each version whose file is missing or is not the text that people accepted."""
    return [
        Error(
            f"Legal text {text.document.value} {text.version} is not the one that was published.",
            hint="Put the old file back; a change is a new file and a new line in accounts/legal_texts.py.",
            id="accounts.E020",
        )
        for text in TEXTS
        if _hash(text) != text.sha256
    ]


def _hash(text: LegalText) -> str:
    try:
        return hashlib.sha256(text.source.encode()).hexdigest()
    except TemplateDoesNotExist:
        return ""
