"""The people of an account: who they are, inviting, roles, removing, leaving, and joining by the link of a mail.

How long an invitation is good is the schedule's: the room above routes `invite` with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import logout
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import inviting, membership
from accounts import members as people
from accounts.doors import account_of, customer, customer_page, for_roles, fresh, is_too_often, public_page, too_often
from accounts.members import MEANS, ROLES, Part
from accounts.models import Invitation, Person, User
from accounts.people_forms import InviteForm, JoinForm, RoleForm
from accounts.registering import NameTaken

ENTRIES_A_PAGE = 25
Lasts = Callable[[], dt.timedelta]


@customer_page
@for_roles(Part.MEMBERS)
def members(request: HttpRequest) -> HttpResponse:
    """Show who is a member, with their roles, and who is invited."""
    account = account_of(request)
    found = people.active(account.pk).order_by("created_at", "pk")
    page = Paginator(found, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    waiting = inviting.open_invitations(account.pk, timezone.now()).order_by("-created_at", "-pk")[:ENTRIES_A_PAGE]
    context = {
        "page": page,
        "rows": _rows(request, list(page.object_list)),
        "invitations": [{"invitation": one, "role": ROLES[one.role]} for one in waiting],
    }
    return render(request, "accounts/members/list.html", context)


@customer_page
@for_roles(Part.MEMBERS)
@fresh
def invite(request: HttpRequest, lasts: Lasts) -> HttpResponse:
    """Invite somebody; the answer is one whether or not the address signs in already."""
    form = InviteForm(request.POST or None)
    if request.method == "POST":
        if is_too_often(request, "invite_member", user=customer(request)):
            return too_often(request)
        if form.is_valid():
            given = form.cleaned_data
            inviting.invite(account_of(request).pk, by=customer(request), **given, lasts=lasts())
            messages.success(request, _("The invitation is on its way by e-mail."))
            return redirect("accounts:members")
    return render(request, "accounts/members/invite.html", {"form": form})


@customer_page
@for_roles(Part.MEMBERS)
def invitation_withdraw(request: HttpRequest, invitation: UUID) -> HttpResponse:
    """End an invitation; looking at the address leads back to the list."""
    found = get_object_or_404(Invitation, pk=invitation, account=account_of(request))
    if request.method == "POST":
        inviting.withdraw(found.pk, by=customer(request))
        messages.success(request, _("The invitation is withdrawn. Its link opens nothing any more."))
    return redirect("accounts:members")


@customer_page
@for_roles(Part.MEMBERS)
@fresh
def member(request: HttpRequest, member: UUID) -> HttpResponse:
    """Show one member, and change what they may do."""
    found = _member(request, member)
    form = RoleForm(request.POST or None, initial={"role": people.role_of(found)})
    if request.method == "POST" and form.is_valid():
        membership.change_role(found.pk, form.cleaned_data["role"], by=customer(request))
        messages.success(request, _("The role is changed. All owners are told by e-mail."))
        return redirect("accounts:members")
    [row] = _rows(request, [found])
    return render(request, "accounts/members/member.html", {"form": form, **row})


@customer_page
@for_roles(Part.MEMBERS)
@fresh
def member_remove(request: HttpRequest, member: UUID) -> HttpResponse:
    """Ask once, and remove a member."""
    found = _member(request, member)
    if found == customer(request):
        return redirect("accounts:leave")
    if request.method == "POST":
        membership.remove(found.pk, by=customer(request))
        messages.success(request, _("The member is removed and signed out everywhere."))
        return redirect("accounts:members")
    [row] = _rows(request, [found])
    return render(request, "accounts/members/remove.html", row)


@customer_page
@fresh
def leave(request: HttpRequest) -> HttpResponse:
    """Ask once, and let a member leave the account; the last owner reads what to do instead."""
    user = customer(request)
    others = people.owners(account_of(request).pk).exclude(pk=user.pk)
    is_last = user.is_owner and not others.exists()
    if request.method == "POST":
        membership.leave(by=user)
        logout(request)
        return redirect("account_login")
    return render(request, "accounts/members/leave.html", {"is_last": is_last})


@public_page
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Open an invitation: name and password make the member; a link that opens nothing says so (410)."""
    invitation = inviting.find(token)
    if request.method == "POST" and is_too_often(request, "join_account", key=inviting.token_digest(token).hex()):
        return too_often(request)
    if invitation is None:
        return render(request, "accounts/members/ended.html", status=410)
    form = JoinForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            inviting.accept(token, **form.cleaned_data)
        except NameTaken as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("You are a member now. Sign in with your e-mail address and your password."))
            return redirect("account_login")
    context = {"form": form, "role": MEANS[invitation.role], "ends_at": invitation.expires_at}
    return render(request, "accounts/members/join.html", context)


def _member(request: HttpRequest, pk: UUID) -> User:
    return get_object_or_404(people.active(account_of(request).pk), pk=pk)


def _rows(request: HttpRequest, users: list[User]) -> list[dict[str, Any]]:
    """Return what the list and the pages of one member show of each."""
    ids = [user.pk for user in users]
    named = {person.user_id: person.name for person in Person.objects.filter(user__in=ids)}
    addresses = people.addresses(ids)
    return [
        {
            "member": user,
            "name": named.get(user.pk, ""),
            "address": addresses.get(user.pk, ""),
            "role": ROLES[people.role_of(user)],
            "is_self": user == customer(request),
        }
        for user in users
    ]
