"""Silence on the customer pages: nothing a customer can observe depends on a hold they were not told of.

Before the due date a page is byte for byte the same with and without one; after it, a sealed hold reads like
any other unfinished deletion. No customer page asks the tables of holds and kept versions at all.
"""

from __future__ import annotations

import datetime as dt
import re

import pytest
import time_machine
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from accounts import datamap
from accounts.keys.identifiers import uuid7
from accounts.models import AccountToken, Address, Contact, EmailChange, Export, Invitation, Invoice, Ticket, User
from accounts.safeguards.models import OutboxMessage
from retention import closing, disputing, placing, plans, purge, releasing, reminding, telling
from retention.models import DeletionRequest, Hold, PrivacyRequest
from tests.cast import PASSWORD, ask_something, bind, furnish, make_customer, owe
from tests.pairing import Side, addresses
from tests.visiting import cancel_of, close_in, confirmed, find_in, signed_in, sql, status_of, text, words

pytestmark = [pytest.mark.usefixtures("committed"), pytest.mark.beside]

DAY = dt.timedelta(days=1)
# A little ahead of everything the tests do, so that nothing on a page lies in its future.
NOW = timezone.now() + dt.timedelta(minutes=30)
SEALED = re.compile(
    r"retention_(hold|holdrelease|keptversion)\b"
    r"|disclosures_(legal\w+|sought|silence|disclosure|packet|packetpart|approval|compulsion|incident)\b"
)
# The page of whoever was given something, who is no customer: it is asked by the hash of a link.
OF_RECIPIENTS = "link_digest"
UNTOLD = (Hold.Kind.LEGAL, Hold.Kind.PRESERVATION, Hold.Kind.PROVISIONAL, Hold.Kind.OPERATIONS)
GENERIC = (
    "Your deletion is not finished. Some data stays for now. We look at this at least every 90 days and "
    "write to you when it is finished."
)


def hold(user: User, kind: str = Hold.Kind.LEGAL, **details) -> Hold:
    return placing.place(user.account_id, kind, by="staff:test", **details)


def dispute(user: User) -> None:
    disputing.open_dispute(
        user.account_id,
        processor="stripe",
        reference=f"dp_{user.pk.hex[-6:]}",
        amount_cents=500,
        by="token:x",
    )


def closed(user: User, ago: dt.timedelta) -> closing.Closed:
    return closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - ago)


def own_pages(user: User) -> list[str]:
    """Return every page a signed-in customer opens, the ones of their own things included."""
    mine = {"account": user.account_id}
    requests = DeletionRequest.objects.filter(**mine)
    rest = {name: page for name, page in addresses(Side("", user)).items() if name.startswith(("accounts:", "discl"))}
    return [
        *rest.values(),
        "/",
        "/delete/",
        "/delete/check/",
        "/delete/find/",
        "/delete/reopen/",
        "/invoices/",
        "/tickets/",
        "/help/",
        "/data/",
        *(f"/data/{category}/" for category in dict.fromkeys(entry.category for entry in datamap.visible().values())),
        "/data/activity/",
        "/privacy/data/",
        "/export/",
        "/export/new/",
        *(
            reverse(f"retention:export{page}", args=[one.reference])
            for one in Export.objects.filter(**mine, removed_at=None).order_by("pk")
            for page in ("", "_download", "_remove")
        ),
        "/password/change/",
        "/settings/",
        "/settings/security/",
        "/settings/security/passkeys/",
        "/settings/sessions/",
        "/settings/sessions/end/",
        "/requests/",
        "/requests/new/",
        "/requests/new/rectification/",
        "/requests/allow/",
        "/request/",
        "/request/new/rectification/",
        "/request/new/rectification/agent/",
        "/request/find/",
        "/request/PRV-2222-2222/",
        "/request/PRV-2222-2222/withdraw/",
        *(
            reverse(f"retention:{name}", args=[one.reference])
            for one in PrivacyRequest.objects.filter(**mine).order_by("pk")
            for name in ("request", "request_withdraw")
        ),
        "/settings/tokens/",
        "/settings/tokens/new/",
        *(
            reverse("accounts:token_end", args=[one.pk])
            for one in AccountToken.objects.filter(**mine, removed_at=None).order_by("pk")
        ),
        *(reverse("accounts:invoice", args=[one.number]) for one in Invoice.objects.filter(**mine).order_by("pk")),
        *(reverse("accounts:invoice_pay", args=[one.number]) for one in Invoice.objects.filter(**mine).order_by("pk")),
        *(reverse("accounts:ticket", args=[one.reference]) for one in Ticket.objects.filter(**mine).order_by("pk")),
        *(
            reverse("accounts:ticket_settle", args=[one.reference])
            for one in Ticket.objects.filter(**mine).order_by("pk")
        ),
        *(page for one in requests for page in (status_of(one), cancel_of(one))),
        *peoples_pages(user),
        *told_pages(user),
    ]


def peoples_pages(user: User) -> list[str]:
    """Return the pages about contacts, the e-mail address and members."""
    mine = {"account": user.account_id}
    contacts = list(Contact.objects.filter(**mine).order_by("pk"))
    own = ["accounts:contacts", "accounts:contact_add", "accounts:billing", "accounts:email", "accounts:members"]
    own += ["accounts:leave", "retention:email_change", "retention:member_invite"]
    pages = [reverse(name) for name in own]
    for name in ("accounts:contact", "accounts:contact_remove", "accounts:address_add"):
        pages += [reverse(name, args=[one.pk]) for one in contacts]
    owner = [one.pk for one in contacts if one.role == Contact.Role.OWNER]
    pages += [reverse("retention:contact_email_change", args=[pk]) for pk in owner]
    for address in Address.objects.filter(**mine).order_by("pk"):
        where = [address.contact_id, address.pk]
        pages += [reverse(name, args=where) for name in ("accounts:address", "accounts:address_remove")]
    for change in EmailChange.objects.filter(**mine).order_by("pk"):
        pages += [reverse(f"accounts:email_{name}", args=[change.pk]) for name in ("codes", "withdraw", "stop")]
    pages += [reverse(name, args=[user.pk]) for name in ("accounts:member", "accounts:member_remove")]
    for invitation in Invitation.objects.filter(**mine).order_by("pk"):
        pages.append(reverse("accounts:invitation_withdraw", args=[invitation.pk]))
    return [*pages, reverse("accounts:join", args=["x"])]


def told_pages(user: User) -> list[str]:
    """Return the pages of what the customer told and was told: files, items, mails, legal texts."""
    here = addresses(Side("", user))
    rooms = ("business", "confidential", "message", "legal", "ticket_file")
    return [page for name, page in sorted(here.items()) if name.removeprefix("accounts:").startswith(rooms)]


def seen(visitor: Client, user: User) -> list[str]:
    """Return status, headers and text of every page of the customer, as of one moment."""
    found = []
    with time_machine.travel(NOW, tick=False):
        for page in own_pages(user):
            answer = visitor.get(page)
            found.append(f"{answer.status_code} {sorted(answer.items())} {text(answer)}")
    return found


# S2: what is asked.


def visited(user: User, sam: User) -> tuple[set[str], list[str]]:
    """Open every customer page in every state, send every form; return the pages' names and all statements."""
    names, statements = set(), []

    def visit(visitor: Client, page: str, form: dict[str, str] | None = None) -> None:
        with sql() as asked:
            answer = visitor.get(page) if form is None else visitor.post(page, form)
        names.add(answer.resolver_match.view_name)
        statements.extend(asked)

    ask_something(user)
    visitor = confirmed(user)
    for page in own_pages(user):
        visit(visitor, page)
    form = {"subject": "S", "body": "B", "submission": str(uuid7())}
    visit(visitor, "/tickets/", form)
    for page in own_pages(user):
        visit(visitor, page, {"body": "More", "submission": str(uuid7())})
    visit(visitor, "/delete/check/", {"password": PASSWORD, "kept": "on", "submission": str(uuid7())})
    request = DeletionRequest.objects.get(account=user.account_id, cancelled_at=None)
    for page in own_pages(user):
        visit(visitor, page)
    visit(visitor, cancel_of(request), {})
    again = closed(user, ago=31 * DAY)
    for _ in range(2):
        stranger = Client()
        visit(stranger, "/delete/find/", {"reference": again.request.reference, "code": again.code})
        visit(stranger, status_of(again.request))
        visit(visitor, status_of(again.request))
        purge.ring()
    return names, statements


def test_no_customer_page_asks_for_holds(charlie, sam, rita):
    owe(charlie), bind(charlie), dispute(charlie)
    hold(charlie)
    telling.tell(hold(charlie).pk, by=rita, how="letter")

    names, statements = visited(charlie, sam)

    assert [one for one in statements if SEALED.search(one) and OF_RECIPIENTS not in one] == []
    assert any("retention_told_hold" in one for one in statements)
    every = {
        f"{room}:{name}"
        for room in ("accounts", "retention", "disclosures")
        for name in get_resolver().namespace_dict[room][1].reverse_dict
        if isinstance(name, str)
    }
    assert every | {"overview"} <= names


def test_a_page_that_asks_for_holds_is_caught(charlie, sam, monkeypatch):
    """Negative control: one page counts the holds of the account."""
    blockers = plans.blockers

    def offender(account, at):
        return blockers(account, at)[: 100 - Hold.objects.filter(account=account).count()]

    monkeypatch.setattr(plans, "blockers", offender)

    _names, statements = visited(charlie, sam)

    assert [one for one in statements if SEALED.search(one)] != []


# S0, before the due date.


@pytest.mark.parametrize("kind", UNTOLD)
def test_before_the_due_date_every_page_is_the_same_with_a_sealed_hold(charlie, rita, kind):
    owe(charlie)
    visitor = signed_in(charlie)
    free = seen(visitor, charlie)
    placed = hold(charlie, kind)
    assert seen(visitor, charlie) == free

    # The word of thanks is shown once.
    visitor.get(close_in(visitor)["Location"])
    held = seen(visitor, charlie)
    mails = OutboxMessage.objects.count()
    if kind == Hold.Kind.OPERATIONS:
        releasing.end_pause(placed.pk, by=rita)
        assert seen(visitor, charlie) == held
    hold(charlie, categories=["support", "access"])
    assert seen(visitor, charlie) == held
    # Nor does a mail tell (S6).
    assert OutboxMessage.objects.count() == mails


def test_a_told_hold_does_show(charlie, rita):
    """Negative control: what was told is on the page."""
    visitor = signed_in(charlie)
    free = seen(visitor, charlie)
    placed = hold(charlie)

    telling.tell(placed.pk, by=rita, how="letter")

    assert seen(visitor, charlie) != free
    assert "A legal hold covers all your data." in words(visitor.get("/delete/"))


def test_a_sealed_hold_cancels_like_none(charlie):
    visitor = signed_in(charlie)
    hold(charlie)
    close_in(visitor)
    request = DeletionRequest.objects.get()

    assert visitor.post(cancel_of(request)).status_code == 302
    assert "Your account is open again" in words(visitor.get(cancel_of(request)))
    hold(charlie, categories=["support"])
    assert visitor.get("/").status_code == 200


# S4, from the due date on.


def twins() -> list[tuple[User, closing.Closed]]:
    """Return customers whose accounts were due at the same moment and differ in nothing but random names."""
    at = timezone.now() - 31 * DAY
    found = []
    for name in ("twin-a", "twin-b", "twin-c", "twin-d"):
        user = furnish(make_customer(name))
        closed = closing.close(user.account_id, by=user, submission=uuid7(), at=at)
        found.append((user, closed))
    return found


def followed(closed: closing.Closed) -> str:
    """Return the status page by code, without what is random."""
    visitor = Client()
    find_in(visitor, closed.request.reference, closed.code)
    answer = visitor.get(status_of(closed.request))
    assert answer.status_code == 200
    return text(answer)


def test_after_the_due_date_all_that_is_unfinished_for_untold_reasons_reads_alike():
    (sealed, a), (partly, b), (paused, c), (late, d) = twins()
    hold(sealed)
    hold(partly, categories=["support"])
    hold(paused, Hold.Kind.OPERATIONS)
    purge.ring(only=[sealed.account_id, partly.account_id, paused.account_id])
    purge.end_sign_in(timezone.now())

    pages = [followed(one) for one in (a, b, c, d)]
    assert pages[0] == pages[1] == pages[2] == pages[3]
    assert GENERIC in pages[0]
    main = pages[0].partition("<main")[2].partition("</main>")[0]
    for word in ("hold", "legal", "pause", "wait for", "Next look"):
        assert word not in re.sub(r"<[^>]*>", " ", main).replace("lets us", "")

    # One mail, one text, one rhythm for each of them (S6).
    now = timezone.now()
    for moment in (now, now + 5 * DAY, now + 91 * DAY):
        reminding.remind(moment)
    texts = []
    for one in (a, b, c, d):
        sent = OutboxMessage.objects.filter(event__startswith=f"deletion:{one.request.pk}:not-finished").order_by("pk")
        texts.append([mail.content["body"].replace(one.request.reference, "R") for mail in sent])
    assert len(texts[0]) == 2
    assert texts[0] == texts[1] == texts[2] == texts[3]
    assert GENERIC in texts[0][0]


def test_what_is_finished_reads_otherwise():
    """Negative control: finished and not finished do differ."""
    (free, a), (held, b), *_ = twins()
    hold(held)
    purge.ring()
    purge.ring(timezone.now() + 5 * dt.timedelta(minutes=1))

    assert "Your data is deleted." in followed(a)
    assert GENERIC in followed(b)


def test_after_the_due_date_reasons_show_only_when_they_explain_everything():
    (told, a), (also_sealed, b), (alike, c), (owing, d) = twins()
    for user in (told, also_sealed, alike):
        dispute(user)
    hold(also_sealed)
    # What a sealed hold covers beyond the dispute stays unfinished; what both cover shows no difference.
    hold(alike, categories=["billing", "services"])
    owe_at_closing(owing)
    purge.ring()
    purge.ring(timezone.now() + dt.timedelta(minutes=5))

    # The second in which each was set up is no difference.
    pages = [re.sub(r"T?\d\d:\d\d(:\d\dZ?)?", "", re.sub(r"dp_\w+", "DP", followed(one))) for one in (a, b, c)]
    assert "You have a payment dispute open with your bank (DP)" in pages[0]
    assert pages[0] == pages[2]
    assert GENERIC in pages[1]
    assert "payment dispute" not in pages[1]
    assert "is unpaid" in followed(d)


def owe_at_closing(user: User) -> None:
    """Leave an invoice of before the closing unpaid."""
    owe(user, at=timezone.now() - 40 * DAY)


def test_the_due_date_reads_alike_on_the_page_that_answers_at_the_end_of_sign_in(charlie, bob):
    hold(bob)
    for user in (charlie, bob):
        visitor = signed_in(user)
        closing.close(
            user.account_id,
            by=user,
            submission=uuid7(),
            keep_session=visitor.session.session_key,
            at=timezone.now() - 31 * DAY,
        )
        answer = visitor.get("/")
        assert (answer.status_code, answer["Location"]) == (302, "/delete/find/")
