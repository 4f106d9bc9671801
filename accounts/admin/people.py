"""Users in the admin: who signs in."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from django.contrib import admin

from accounts.admin.links import account_link
from accounts.admin_base import Eyes, RecordAdmin, Section
from accounts.datamap import Category
from accounts.keys.keyring import KeyDestroyed
from accounts.members import ROLES, role_of
from accounts.models import Acceptance, Person, SignInIdentifier, User
from accounts.roles import Role, View, category_view
from accounts.templatetags.portal_tags import moment


@admin.register(User)
class UserAdmin(RecordAdmin):
    """Users, read-only: roles are given by `manage.py staff`, customers change their own sign-in."""

    list_display = ("id", "account", "person", "is_owner", "is_staff", "is_active", "created_at")
    list_filter = ("is_staff", "is_active", "is_owner")
    list_select_related = ("account", "person")
    labels = MappingProxyType({"person": "name"})
    ordering = ("-created_at",)

    def name_of(self, record: Any) -> str:
        return f"user of account {record.account.number}" if record.account_id else "member of staff"

    def columns(self, eyes: Eyes) -> dict[str, Any]:
        return {"person": lambda user: self._initials(eyes, user)}

    def _initials(self, eyes: Eyes, user: User) -> str | None:
        """Return enough of a name to recognise one that is known: a list shows nothing personal in full."""
        view = min(category_view(eyes.user, Category.IDENTITY), View.MASKED)
        try:
            return view.of(user.person.name) or None
        except (Person.DoesNotExist, KeyDestroyed):
            return None

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        roles = ", ".join(Role(name).label for name in record.groups.values_list("name", flat=True))
        facts: list[tuple[str, Any]] = [
            ("Account", account_link(record) if record.account_id else "staff"),
            ("Owner of the account", "yes" if record.is_owner else "no"),
            ("Role in the account", ROLES[role_of(record)] if record.account_id else "none"),
            ("May sign in", "yes" if record.is_active else "no"),
            ("Removed", moment(record.removed_at) or "no"),
            ("Password or address changed", moment(record.secured_at) or "not noted"),
            ("Roles", roles or "none"),
            ("Since", moment(record.created_at)),
        ]
        person = Person.objects.filter(user_id=record.pk).first()
        names = [
            (name.get_kind_display(), eyes.on(name, "value"), "yes" if name.signs_in else "no")
            for name in SignInIdentifier.objects.filter(user=record).order_by("kind", "pk")
        ]
        accepted = [
            (text.get_document_display(), text.version, moment(text.accepted_at), eyes.on(text, "ip"))
            for text in Acceptance.objects.filter(user=record.pk).order_by("-accepted_at", "pk")
        ]
        return [
            Section("User", facts=[*facts, *(eyes.facts(person) if person else [])]),
            Section("Sign-in names", head=("Kind", "Name", "Signs in"), rows=names),
            Section("Accepted legal texts", head=("Text", "Version", "When", "From"), rows=accepted),
        ]
