"""What every customer page has in common, whatever it shows.

A customer page is for the people of an account: whoever is not signed in is sent to sign in, staff are told
that it is not theirs. It is never cached, answers GET, HEAD and POST only, and an act that cannot be done is
a 409 page with the act's own sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.core import ratelimit
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import members, proofs
from accounts.errors import NotActionable
from accounts.models import Account, User

View = Callable[..., HttpResponse]


def public_page(view: View) -> View:
    """Make a page that needs no sign-in: never cached, and a refused act is a 409."""

    @wraps(view)
    def door(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except NotActionable as refusal:
            return render(request, "409.html", {"problem": str(refusal)}, status=409)

    made: View = require_http_methods(["GET", "HEAD", "POST"])(never_cache(door))
    return made


def customer_page(view: View) -> View:
    """Make a page for the signed-in people of an account; staff are refused."""

    @wraps(view)
    def door(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if customer(request).account is None:
            raise PermissionDenied("Customer pages belong to the people of an account.")
        return view(request, *args, **kwargs)

    made: View = public_page(login_required(door))
    return made


def for_roles(part: members.Part) -> Callable[[View], View]:
    """Open a customer page to the roles that `members.OPENS` names; the others read who can open it (403)."""

    def limited(view: View) -> View:
        @wraps(view)
        def door(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not members.may_open(customer(request), part):
                return not_for_role(request, part)
            return view(request, *args, **kwargs)

        return door

    return limited


def not_for_role(request: HttpRequest, part: members.Part) -> HttpResponse:
    """Answer 403 with the roles that open this part, and the names of the owners to ask."""
    names = members.owner_names(account_of(request).pk)
    context = {"roles": members.roles_that_open(part), "owners": names}
    return render(request, "accounts/not_for_role.html", context, status=403)


def personal_page(view: View) -> View:
    """Make a page about the signed-in person and no account: customers and staff alike."""
    made: View = public_page(login_required(view))
    return made


def fresh(view: View) -> View:
    """Let through who has proved within the last ten minutes who they are; send the others to confirm it first.

    Stands under the decorator that makes the page. What was sent is not kept: whoever confirms comes back to the
    page by GET, with nothing done.
    """

    @wraps(view)
    def door(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if proofs.is_fresh(request):
            return view(request, *args, **kwargs)
        return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': request.path})}")

    return door


def is_too_often(request: HttpRequest, action: str, **about: Any) -> bool:
    """Note one attempt at `action` and return whether it is one too many (ACCOUNT_RATE_LIMITS)."""
    return not ratelimit.consume(request, action=action, **about)


def too_often(request: HttpRequest) -> HttpResponse:
    """Answer 429: this attempt was not looked at."""
    return render(request, "429.html", status=429)


def customer(request: HttpRequest) -> User:
    """Return the signed-in user of a customer page."""
    assert isinstance(request.user, User)  # noqa: S101 - the door let nobody else in
    return request.user


def account_of(request: HttpRequest) -> Account:
    """Return the account of the signed-in user of a customer page."""
    account = customer(request).account
    assert account is not None  # noqa: S101 - the door let nobody else in
    return account
