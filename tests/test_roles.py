"""The table of roles: who sees what of which category, and who may do what."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.urls import reverse

from accounts.datamap import Category
from accounts.models import User
from accounts.roles import ACTS, Role, View, category_view, masked, may, roles_of, sees_sealed, table
from tests.admin_walk import ROLES, World, make_world
from tests.cast import make_staff

pytestmark = pytest.mark.django_db

EMAIL = "walker@walker.example"


@pytest.fixture
def world() -> World:
    return make_world()


def everything() -> list[str]:
    return [f"{p.content_type.app_label}.{p.codename}" for p in Permission.objects.select_related("content_type")]


def test_the_table_has_every_role_and_every_category_once() -> None:
    cells = [(row.role, row.category) for row in table()]

    assert len(cells) == len(set(cells)) == len(Role) * len(Category)


def test_nobody_is_shown_analytics_or_confidential_information() -> None:
    seen = [row for row in table() if row.category in {Category.ANALYTICS, Category.CONFIDENTIAL} and row.view]

    assert seen == []


def test_only_legal_and_privacy_officer_see_sealed_matters() -> None:
    knowing = {role for role in Role if sees_sealed(make_staff(f"knows-{role.value[:5]}", role.value))}

    assert knowing == {Role.LEGAL, Role.PRIVACY_OFFICER}


@pytest.mark.parametrize("role", ROLES)
def test_django_s_permissions_agree_with_the_table(role: str) -> None:
    user = make_staff("agrees", role)

    assert {act for act in everything() if user.has_perm(act)} == set(ACTS[Role(role)])
    assert {act for act in everything() if may(user, act)} == set(ACTS[Role(role)])


def test_no_role_may_add_change_or_delete_what_django_offers() -> None:
    stock = [
        act for acts in ACTS.values() for act in acts if act.split(".")[1].startswith(("add_", "change_", "delete_"))
    ]

    assert stock == []


def test_every_act_of_the_table_is_a_permission_that_exists() -> None:
    assert {act for acts in ACTS.values() for act in acts} <= set(everything())


def test_several_roles_give_the_widest_view_and_all_acts() -> None:
    user = make_staff("both", "auditor", "billing")

    assert category_view(user, Category.INVOICES) == View.SHOWN
    assert may(user, "safeguards.view_ledgerentry")
    assert may(user, "accounts.void_invoice")


def test_a_permission_given_by_hand_opens_nothing() -> None:
    user = make_staff("byhand", "support")
    user.user_permissions.add(Permission.objects.get(codename="place_hold"))
    user = User.objects.get(pk=user.pk)

    assert user.has_perm("retention.place_hold")
    assert not may(user, "retention.place_hold")


def test_whoever_is_no_active_staff_has_no_role(alice: User) -> None:
    left = make_staff("left", "legal")
    left.is_active = False
    alice.groups.add(Group.objects.get(name="legal"))

    assert roles_of(left) == roles_of(alice) == roles_of(AnonymousUser()) == frozenset()
    assert not may(alice, "retention.place_hold")
    assert category_view(alice, Category.CONTACT) == View.HIDDEN


def test_a_group_that_is_no_role_is_swept_away_by_the_sync() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_the_customer_card_shows_contacts_as_the_table_says(world: World, role: str) -> None:
    card = reverse("admin:accounts_account_change", args=[world.account.pk])

    page = world.client(role).get(card).content.decode()

    view = category_view(world.staff[role], Category.CONTACT)
    contacts = page.split("Contacts</h2>")[1].split("Addresses</h2>")[0]
    assert (EMAIL in contacts) == (view == View.SHOWN)
    assert (masked(EMAIL) in contacts) == (view == View.MASKED)
    assert ("hidden for your role" in contacts) == (view == View.HIDDEN)


@pytest.mark.parametrize("role", ROLES)
def test_sign_in_names_are_never_shown_whole(world: World, role: str) -> None:
    card = reverse("admin:accounts_account_change", args=[world.account.pk])

    page = world.client(role).get(card).content.decode()

    assert EMAIL not in page.split("Sign-in names</h2>")[1].split("Contacts</h2>")[0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("jane@example.com", "j…@e….com"),
        ("+1 312 5550123", "…23"),
        ("Jane Doe", "J… D…"),
        ("203.0.113.77", "…77"),
        ("x", "x…"),
        ("", "…"),
    ],
)
def test_a_masked_value_tells_only_who_knows_it(value: str, shown: str) -> None:
    assert masked(value) == shown
