"""Roles of staff as one table: what each may see of a category, and which acts each may do.

The table is the truth for admin, API and tests. Groups of the same names are synced after `migrate`, so that
Django's own permission checks agree; a permission given to a user by hand opens nothing. A staff user may
have several roles: the widest view and the union of acts count. Whoever is in no role sees and may do
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.db import models
from django.db.models import Q

from accounts.datamap import Category
from accounts.models import User

Viewer = User | AnonymousUser


class Role(models.TextChoices):
    """The roles of staff; also the names of the groups."""

    SUPPORT = "support", "support"
    ABUSE_DESK = "abuse_desk", "abuse desk"
    BILLING = "billing", "billing"
    LEGAL = "legal", "legal"
    PRIVACY_OFFICER = "privacy_officer", "privacy officer"
    AUDITOR = "auditor", "auditor"
    ADMINISTRATOR = "administrator", "administrator"


class View(IntEnum):
    """How much of a category's personal fields is shown; a wider view has a higher number."""

    HIDDEN = 0
    MASKED = 1
    SHOWN = 2

    def of(self, value: object) -> str:
        """Return a value as this view shows it."""
        return {View.HIDDEN: "", View.MASKED: masked(value), View.SHOWN: str(value)}[self]


H, M, S = View.HIDDEN, View.MASKED, View.SHOWN

# Role by category. Analytics and confidential information are shown to nobody in the admin (P30, P31): page use shows
# in counts only, a confidential item is opened by an act that asks for the reason.
#                            support  abuse  billing  legal  privacy  auditor  administrator
_VIEWS: Mapping[Category, tuple[View, ...]] = {
    Category.IDENTITY: (S, S, S, S, S, H, M),
    Category.CONTACT: (S, M, S, S, S, H, H),
    Category.CREDENTIALS: (M, H, H, M, M, H, M),
    Category.BILLING: (H, H, S, M, M, H, H),
    Category.INVOICES: (M, H, S, S, S, H, H),
    Category.SERVICES: (S, S, S, S, S, H, M),
    Category.NETWORK: (M, S, H, S, S, H, H),
    Category.ORDERS: (H, H, S, S, S, H, H),
    Category.ACCESS: (M, M, H, S, S, H, H),
    Category.ANALYTICS: (H, H, H, H, H, H, H),
    Category.SUPPORT: (S, H, H, S, S, H, H),
    Category.CORRESPONDENCE: (S, H, H, S, S, H, H),
    Category.CONSENT: (M, H, H, S, S, H, H),
    Category.NOTICES: (H, S, H, S, S, H, H),
    Category.BUSINESS: (S, H, H, S, S, H, H),
    Category.CONFIDENTIAL: (H, H, H, H, H, H, H),
    Category.LEGAL: (H, H, H, S, S, H, H),
}

_CUSTOMER = frozenset({"accounts.view_account", "retention.view_deletionrequest", "retention.view_hold"})
_LEGAL = frozenset(
    {
        "retention.view_sealed_hold",
        "retention.place_hold",
        "retention.tell_hold",
        "retention.review_hold",
        "retention.request_hold_release",
        "retention.approve_hold_release",
        "retention.view_dispute",
        "retention.preview_purge",
        "accounts.view_invoice",
        "accounts.view_service",
        "accounts.view_ticket",
        "accounts.view_ipassignment",
        "accounts.view_order",
        "accounts.view_businessitem",
        "retention.view_privacyrequest",
    }
)
# What leaves the company is worked on by legal and the privacy officer; each disclosure takes two of them.
_DISCLOSING = frozenset(
    {
        "disclosures.view_recipient",
        "disclosures.register_recipient",
        "disclosures.view_consentgrant",
        "disclosures.record_consent",
        "disclosures.view_legalrequest",
        "disclosures.view_legalletter",
        "disclosures.view_legaldocument",
        "disclosures.receive_legalrequest",
        "disclosures.verify_legalrequest",
        "disclosures.assign_legalrequest",
        "disclosures.answer_legalrequest",
        "disclosures.silence_legalrequest",
        "disclosures.tell_legalrequest",
        "disclosures.download_legaldocument",
        "disclosures.view_disclosure",
        "disclosures.prepare_disclosure",
        "disclosures.approve_disclosure",
        "disclosures.release_disclosure",
        "disclosures.open_packet",
        "disclosures.view_compulsion",
        "disclosures.view_incident",
        "disclosures.record_incident",
        "disclosures.view_aggregatetable",
        "disclosures.view_transparencytable",
    }
)
# What comes to the abuse desk; cases of children are for legal alone (law-and-timers.md).
_CASES = frozenset(
    {
        "disclosures.view_abusecase",
        "disclosures.decide_abusecase",
        "disclosures.open_report",
        "disclosures.notify_abusenotice",
        "disclosures.strike_abusenotice",
    }
)
_QUEUE = frozenset(
    {
        "retention.preview_purge",
        "retention.pause_erasure",
        "retention.retry_erasure",
        "retention.view_purgeswitch",
        "retention.stop_purge",
    }
)

# Role by act: permission codenames with their app. Acts that are not named here are nobody's.
ACTS: Mapping[Role, frozenset[str]] = MappingProxyType(
    {
        Role.SUPPORT: _CUSTOMER
        | {
            "accounts.view_user",
            "accounts.view_invoice",
            "accounts.view_service",
            "accounts.view_ticket",
            "accounts.reply_ticket",
            "accounts.view_businessitem",
            "accounts.note_business",
            "accounts.view_confidentialitem",
            "accounts.open_confidential",
            "accounts.view_page_use",
            "disclosures.view_consentgrant",
            "disclosures.record_consent",
        },
        Role.ABUSE_DESK: _CUSTOMER | _CASES | {"accounts.view_service", "accounts.view_ipassignment"},
        Role.BILLING: _CUSTOMER
        | {
            "accounts.view_invoice",
            "accounts.void_invoice",
            "accounts.record_payment",
            "accounts.issue_invoice",
            "accounts.view_order",
            "accounts.decide_order",
            "accounts.view_service",
            "accounts.waive_term",
            "retention.view_dispute",
            "retention.open_dispute",
            "retention.close_dispute",
        },
        Role.LEGAL: _CUSTOMER
        | _LEGAL
        | _DISCLOSING
        | _CASES
        | {"disclosures.record_compulsion", "disclosures.view_csam"},
        Role.PRIVACY_OFFICER: _CUSTOMER
        | _LEGAL
        | _QUEUE
        | _DISCLOSING
        | _CASES
        | {
            "disclosures.confirm_compulsion",
            "disclosures.make_aggregate",
            "disclosures.freeze_transparency",
            "accounts.view_user",
            "accounts.reply_ticket",
            "accounts.view_confidentialitem",
            "accounts.open_confidential",
            "accounts.view_page_use",
            "retention.verify_request",
            "retention.extend_request",
            "retention.decide_request",
            "retention.answer_request",
            "safeguards.view_ledgerentry",
        },
        Role.AUDITOR: _CUSTOMER
        | {
            "retention.view_dispute",
            "retention.view_purgeswitch",
            "safeguards.view_ledgerentry",
            # Those the customer was told of, and no others.
            "disclosures.view_disclosure",
            "disclosures.view_aggregatetable",
            "disclosures.view_transparencytable",
        },
        Role.ADMINISTRATOR: _CUSTOMER
        | _QUEUE
        | {
            "accounts.view_user",
            "accounts.view_apitoken",
            "accounts.make_token",
            "accounts.revoke_token",
            "accounts.view_webhookendpoint",
            "accounts.manage_webhooks",
            "accounts.view_page_use",
            "safeguards.view_outboxmessage",
        },
    }
)

SEES_SEALED = "retention.view_sealed_hold"


@dataclass(frozen=True)
class Row:
    """One cell of role by category, for tests and papers."""

    role: Role
    category: Category
    view: View


def table() -> list[Row]:
    """Return every cell of role by category."""
    return [
        Row(role, category, view) for category, views in _VIEWS.items() for role, view in zip(Role, views, strict=True)
    ]


def roles_of(user: Viewer) -> frozenset[Role]:
    """Return the roles of a staff user; read once per user object, nothing for anybody else."""
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return frozenset()
    known: frozenset[Role] | None = user.__dict__.get("_roles")
    if known is None:
        names = user.groups.values_list("name", flat=True)
        known = frozenset(Role(name) for name in names if name in Role.values)
        user.__dict__["_roles"] = known
    return known


def category_view(user: Viewer, category: Category | str) -> View:
    """Return how much of a category the user is shown: the widest of the user's roles."""
    views = dict(zip(Role, _VIEWS[Category(category)], strict=True))
    return max((views[role] for role in roles_of(user)), default=View.HIDDEN)


def may(user: Viewer, act: str) -> bool:
    """Return whether one of the user's roles has the act, e.g. "retention.place_hold"."""
    return any(act in ACTS[role] for role in roles_of(user))


def sees_sealed(user: Viewer) -> bool:
    """Return whether the user may know of holds the customer was not told of: legal and privacy officer."""
    return may(user, SEES_SEALED)


def masked(text: Any) -> str:
    """Return enough of a value to recognise what one knows already: "j…@e….com", "…42", "J… D…"."""
    words = str(text)
    if "@" in words:
        local, _, domain = words.rpartition("@")
        return f"{local[:1]}…@{domain[:1]}….{domain.rpartition('.')[2]}"
    digits = [letter for letter in words if letter.isdigit()]
    if len(digits) >= 4:
        return "…" + "".join(digits[-2:])
    return " ".join(f"{word[0]}…" for word in words.split()[:3]) or "…"


def sync(sender: AppConfig, using: str = "default", **kwargs: Any) -> None:
    """Make the groups say what the table says; runs after `migrate`, as the role that migrates.

    Permissions do not exist inside a migration, and each app makes its own only when its turn comes: hence
    made here.
    """
    if using != "default":
        return
    for config in apps.get_app_configs():
        create_permissions(config, verbosity=0, using=using)
    for role, acts in ACTS.items():
        group, _made = Group.objects.using(using).get_or_create(name=role.value)
        group.permissions.set(_permissions(acts, using))
    Group.objects.using(using).exclude(name__in=Role.values).delete()


def _permissions(acts: frozenset[str], using: str) -> models.QuerySet[Permission]:
    wanted = Q(pk=None)
    for act in acts:
        app, _, codename = act.partition(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    return Permission.objects.using(using).filter(wanted)
