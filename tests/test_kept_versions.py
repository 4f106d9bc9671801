"""What an edit replaced while a hold covered it can be read by who may see sealed matters, and by nobody else."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied

from accounts.models import Contact
from accounts.safeguards.models import LedgerEntry
from retention import keeping, placing
from retention.models import Hold
from tests.cast import furnish, make_customer, make_staff

pytestmark = pytest.mark.usefixtures("committed")


def test_an_edit_under_a_hold_keeps_the_old_values_readable() -> None:
    alice, lex = furnish(make_customer("alice")), make_staff("lex", "legal")
    placing.place(alice.account_id, Hold.Kind.LEGAL, by=lex.actor, matter="Docket 7")
    contact = Contact.objects.get(account_id=alice.account_id, role=Contact.Role.OWNER)
    contact.name = "Somebody Else"
    contact.save()

    kept = [version for version in keeping.kept_versions(alice.account_id, by=lex) if version.label == "Contact"]

    assert ("Name", "Alice Canary") in kept[0].values
    assert LedgerEntry.objects.filter(action="kept_versions.read", subject=alice.account_id, actor=lex.actor).exists()


def test_an_edit_without_a_hold_keeps_nothing() -> None:
    alice, lex = furnish(make_customer("alice")), make_staff("lex", "legal")
    contact = Contact.objects.get(account_id=alice.account_id, role=Contact.Role.OWNER)
    contact.name = "Somebody Else"
    contact.save()

    assert keeping.kept_versions(alice.account_id, by=lex) == []


def test_support_cannot_read_kept_versions() -> None:
    alice, sam = furnish(make_customer("alice")), make_staff("sam", "support")

    with pytest.raises(PermissionDenied):
        keeping.kept_versions(alice.account_id, by=sam)


def test_a_permission_given_by_hand_reads_no_kept_version() -> None:
    alice, sam = furnish(make_customer("alice")), make_staff("sam", "support")
    sam.user_permissions.add(Permission.objects.get(codename="view_sealed_hold"))
    assert sam.has_perm("retention.view_sealed_hold")

    with pytest.raises(PermissionDenied):
        keeping.kept_versions(alice.account_id, by=sam)
