"""A customer's own API tokens: the list, making one, ending one. Owners only.

A token is looked up among the account's own (404 for every other). Making and ending one asks for the password or a
passkey again. The secret stands on the answer to the form and nowhere else: it passes through no session and no mail,
so that answer is the one page of the portal that a form does not redirect from.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import granting, scopes
from accounts.doors import account_of, customer, customer_page, for_roles, fresh
from accounts.members import Part
from accounts.models import Account, AccountToken, State, User
from accounts.token_forms import TokenForm

ENTRIES_A_PAGE = 25


@customer_page
@for_roles(Part.TOKENS)
def tokens(request: HttpRequest) -> HttpResponse:
    """Show the account's tokens, newest first, with what each opens and when it was last used."""
    account = account_of(request)
    found = AccountToken.objects.filter(account=account, removed_at=None).order_by("-created_at", "-pk")
    page = Paginator(found, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    now, makers = timezone.now(), _live_makers(account)
    shown = [
        {
            "token": token,
            "words": scopes_in_words(token),
            "works": token.expires_at > now and token.user in makers,
        }
        for token in page.object_list
    ]
    context = {"page": page, "shown": shown, "can_make": account.state == State.ACTIVE}
    return render(request, "accounts/tokens.html", context)


@customer_page
@for_roles(Part.TOKENS)
@fresh
def token_new(request: HttpRequest) -> HttpResponse:
    """Make a token, and show its secret this once."""
    user = customer(request)
    form = TokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            token, secret = granting.grant(user, **given)
        except ValidationError as error:
            form.add_error("networks", error)
        else:
            context = {"token": token, "secret": secret, "words": scopes_in_words(token)}
            return render(request, "accounts/token_made.html", context)
    return render(request, "accounts/token_new.html", {"form": form})


@customer_page
@for_roles(Part.TOKENS)
@fresh
def token_end(request: HttpRequest, token: UUID) -> HttpResponse:
    """Ask whether to end a token, and end it."""
    user = customer(request)
    found = get_object_or_404(AccountToken, pk=token, account=account_of(request), removed_at=None)
    if request.method == "POST":
        granting.withdraw(found.pk, by=user)
        messages.success(request, _("The token is ended. What used it is refused from now on."))
        return redirect("accounts:tokens")
    return render(request, "accounts/token_end.html", {"token": found, "words": scopes_in_words(found)})


def scopes_in_words(token: AccountToken) -> list[str]:
    """Return what a token opens, as the form that made it said."""
    words = scopes.carried_by(scopes.Holder.CUSTOMER)
    return [str(words[name]) for name in token.scopes if name in words]


def _live_makers(account: Account) -> set[UUID]:
    owners = User.objects.filter(account=account, is_owner=True, is_active=True, removed_at=None)
    return set(owners.values_list("pk", flat=True))
