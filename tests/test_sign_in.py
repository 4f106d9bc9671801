"""Signing in: three names, one answer for whoever is refused, nothing typed left behind (P3)."""

from __future__ import annotations

import datetime as dt
import io
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import redis
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import credentials, recording
from accounts.models import AccessEvent, Account, Correspondence, Session, SignInIdentifier, State, User
from accounts.safeguards import outbox
from accounts.safeguards.models import OutboxMessage
from accounts.signing_in import IdentifierBackend, PortalAdapter, find
from accounts.tasks import relay
from tests.cast import PASSWORD, make_customer
from tests.servers import Worker

pytestmark = pytest.mark.usefixtures("committed")

NEW = "a wholly new pass phrase"
BROWSER = "Canary-Browser/9"


@pytest.fixture
def visitor() -> Client:
    return Client(HTTP_USER_AGENT=BROWSER, REMOTE_ADDR="203.0.113.9")


def sign_in(visitor: Client, login: str, password: str = PASSWORD, **more: Any) -> Any:
    return visitor.post(reverse("account_login"), {"login": login, "password": password, **more})


def close(user: User, due_in: dt.timedelta) -> None:
    """Close the account as seen from later: its due date lies `due_in` from now."""
    grace = dt.timedelta(days=30)
    now = timezone.now()
    Account.objects.filter(pk=user.account_id).update(
        state=State.CLOSED, closed_at=now + due_in - grace, due_at=now + due_in
    )


@pytest.mark.parametrize("kind", ["email", "username", "number"])
def test_a_customer_signs_in_with_each_of_three_names(visitor: Client, alice: User, kind: str):
    name = SignInIdentifier.objects.get(user=alice, kind=kind).value
    answer = sign_in(visitor, f" {name.upper()} ")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert visitor.session["_auth_user_id"] == str(alice.pk)


def test_staff_sign_in_by_the_same_page(visitor: Client, rita: User):
    assert sign_in(visitor, "rita").status_code == 302
    assert Session.objects.get(user=rita.pk).account_id is None


def refused_ways(alice: User) -> dict[str, tuple[str, str]]:
    inactive = make_customer("ina")
    User.objects.create_user(inactive.account, PASSWORD, is_owner=True)
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    past = make_customer("past")
    close(past, dt.timedelta(seconds=-1))
    return {
        "unknown address": ("nobody@nowhere.example", PASSWORD),
        "unknown user name": ("nobody", PASSWORD),
        "unknown number": ("999999999", PASSWORD),
        "wrong password": ("alice", "wrong"),
        "inactive": ("ina", PASSWORD),
        "past the due date": ("past", PASSWORD),
        "look-alike": ("аlice", PASSWORD),
    }


def page(answer: Any, typed: str) -> str:
    """Return a page without what the visitor typed and without the token that is new on every page."""
    text = answer.content.decode().replace(f'value="{typed}"', 'value="TYPED"')
    token = answer.context["csrf_token"]
    return text.replace(str(token), "TOKEN")


def test_whoever_is_refused_reads_the_same_page(alice: User):
    pages = {}
    for way, (login, password) in refused_ways(alice).items():
        cache.clear()
        answer = sign_in(Client(), login, password)
        assert answer.status_code == 200
        pages[way] = page(answer, login)
    assert len(set(pages.values())) == 1, pages.keys()


def test_a_page_that_tells_would_be_caught(alice: User, monkeypatch: pytest.MonkeyPatch):
    """Negative control: with a sentence for inactive people the comparison above fails."""
    ways = refused_ways(alice)
    real = IdentifierBackend.authenticate

    def telling(self: Any, request: Any, username: str = "", **kwargs: Any) -> User | None:
        user = real(self, request, username=username, **kwargs)
        if user is None and find(username) is not None:
            monkeypatch.setitem(PortalAdapter.error_messages, "username_password_mismatch", "You are known.")
        return user

    monkeypatch.setattr(IdentifierBackend, "authenticate", telling)
    pages = set()
    for login, password in ways.values():
        cache.clear()
        pages.add(page(sign_in(Client(), login, password), login))
    assert len(pages) > 1


def test_every_refusal_hashes_the_password_once(alice: User, monkeypatch: pytest.MonkeyPatch):
    ways = refused_ways(alice)
    hashed: list[str] = []

    def counting(name: str) -> Any:
        real = getattr(Argon2PasswordHasher, name)

        def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
            hashed.append(name)
            return real(self, *args, **kwargs)

        return counted

    for name in ("encode", "verify"):
        monkeypatch.setattr(Argon2PasswordHasher, name, counting(name))
    for way, (login, password) in ways.items():
        hashed.clear()
        assert authenticate(None, username=login, password=password) is None
        assert len(hashed) == 1, way


def statements(act: Callable[[], Any]) -> list[str]:
    """Return the kinds of statement an act sends to both databases."""
    with CaptureQueriesContext(connection) as data, CaptureQueriesContext(connections["keys"]) as keys:
        act()
    return [query["sql"].split()[0] for query in [*data, *keys]]


def test_known_and_unknown_take_the_same_statements(alice: User, visitor: Client):
    seen = []
    for login in ("alice", "nobody"):
        cache.clear()
        seen.append(statements(partial(sign_in, visitor, login, "wrong")))
    assert seen[0] == seen[1]
    assert OutboxMessage.objects.filter(kind="refusal").count() == 2


def test_a_note_for_customers_alone_would_be_seen(alice: User, visitor: Client, monkeypatch: pytest.MonkeyPatch):
    """Negative control of the test above: posted only when somebody was found, the note shows."""
    real = recording.post_refusal
    monkeypatch.setattr(recording, "post_refusal", lambda user, request: real(user, request) if user else None)
    seen = []
    for login in ("alice", "nobody"):
        cache.clear()
        seen.append(statements(partial(sign_in, visitor, login, "wrong")))
    assert seen[0] != seen[1]


def test_a_refusal_is_noted_once_however_often_it_is_delivered(alice: User, visitor: Client):
    sign_in(visitor, "alice", "wrong")
    sign_in(visitor, "nobody", "wrong")
    for message in OutboxMessage.objects.all():
        recording.note_refusal(message)
        recording.note_refusal(message)
    assert AccessEvent.objects.get().kind == "refused"


def test_signing_in_refusal_and_signing_out_are_noted_with_address_and_browser(alice: User, visitor: Client):
    sign_in(visitor, "alice", "wrong")
    sign_in(visitor, "alice")
    visitor.post(reverse("account_logout"))
    outbox.relay()
    events = AccessEvent.objects.filter(account=alice.account_id).order_by("at")
    assert [event.kind for event in events] == ["refused", "sign_in", "sign_out"]
    assert {(event.ip, event.browser) for event in events} == {("203.0.113.9", BROWSER)}


def test_nothing_is_noted_for_staff_or_for_nobody(rita: User, visitor: Client):
    sign_in(visitor, "rita", "wrong")
    sign_in(visitor, "rita")
    sign_in(Client(), "nobody", "wrong")
    outbox.relay()
    assert not AccessEvent.objects.exists()


def test_a_browser_that_looks_like_a_card_number_still_signs_in(alice: User):
    visitor = Client(HTTP_USER_AGENT="4242 4242 4242 4242", REMOTE_ADDR="203.0.113.9")
    assert sign_in(visitor, "alice").status_code == 302
    assert AccessEvent.objects.get(account=alice.account_id).browser is None


def test_what_was_typed_is_in_no_session_log_or_redis(
    alice: User, redis_server: redis.Redis, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    typed = ["alice@alice.example", "nobody@nowhere.example", "Canary Pass 77"]
    visitor = Client(HTTP_USER_AGENT=BROWSER, REMOTE_ADDR="203.0.113.99")
    sign_in(visitor, typed[1], typed[2])
    sign_in(visitor, typed[0], typed[2])
    visitor.post(reverse("account_reset_password"), {"email": typed[0]})
    sign_in(visitor, typed[0])
    outbox.relay()
    left = str(dict(visitor.session.items())) + caplog.text + everything_in(redis_server)
    assert "_auth_user_id" in left and "csrftoken" not in left
    for word in [*typed, "203.0.113", BROWSER, "alice@", "nowhere"]:
        assert word not in left, word


def test_the_search_of_redis_finds_what_is_there(redis_server: redis.Redis):
    """Negative control: with readable keys the search above finds the address."""
    redis_server.set("rl:203.0.113.99", "1")
    assert "203.0.113" in everything_in(redis_server)


def everything_in(redis_server: redis.Redis) -> str:
    """Return every key and value of every database of the server, as text."""
    text = io.StringIO()
    for number in range(2):
        client = redis.Redis(unix_socket_path=redis_server.connection_pool.connection_kwargs["path"], db=number)
        for key in client.scan_iter():
            text.write(repr(key))
            kind = client.type(key)
            text.write(repr(client.dump(key) if kind != b"string" else client.get(key)))
        client.close()
    return text.getvalue()


def test_attempts_are_limited_for_known_and_unknown_alike(alice: User):
    for login in ("alice", "nobody"):
        pages = [sign_in(Client(REMOTE_ADDR=f"203.0.113.{n}"), login, "wrong") for n in range(6)]
        assert "too many attempts" not in pages[4].content.decode()
        assert "too many attempts" in pages[5].content.decode()


def sixth_try(first: str, second: str) -> bool:
    """Return whether one name is refused as too often after five wrong tries with another."""
    cache.clear()
    pages = [sign_in(Client(), login, "wrong") for login in [first] * 5 + [second]]
    assert "too many attempts" not in pages[4].content.decode()
    return "too many attempts" in pages[5].content.decode()


def links_names() -> list[tuple[str, str]]:
    """Return which two names of one person share a limit."""
    names = ("alice@alice.example", "alice", Account.objects.get().number)
    return [(one, other) for one in names for other in names if one != other and sixth_try(one, other)]


def test_the_limit_does_not_tell_that_two_names_are_one_person(alice: User):
    assert links_names() == []
    assert sixth_try("alice@alice.example", " ALICE@ALICE.example ")


def test_a_limit_by_person_would_link_their_names(alice: User, monkeypatch: pytest.MonkeyPatch):
    """Negative control of the test above."""
    key = "_get_login_attempts_cache_key"
    monkeypatch.setattr(PortalAdapter, key, lambda self, request, **given: str(find(given["username"])))
    assert len(links_names()) == 6


def test_there_is_no_sign_up_and_no_page_of_the_librarys_addresses(visitor: Client):
    assert "Accounts are not opened here" in visitor.get(reverse("account_signup")).content.decode()
    for path in ("/accounts/email/", "/confirm-email/"):
        assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "javascript:alert(1)", "https:evil.example"])
def test_the_way_after_sign_in_stays_in_the_portal(alice: User, visitor: Client, target: str):
    assert sign_in(visitor, "alice", next=target)["Location"] == "/"


# The reset of a password.


def ask_for_reset(visitor: Client, email: str) -> Any:
    """Ask, and let the relay look for somebody to write to."""
    answer = visitor.post(reverse("account_reset_password"), {"email": email})
    for message in OutboxMessage.objects.filter(kind="reset", state="queued"):
        credentials.answer_wish(message)
    return answer


def posted() -> list[OutboxMessage]:
    return list(OutboxMessage.objects.filter(kind="mail"))


def link_in(message: OutboxMessage) -> str:
    words = message.content["body"].split()
    return next(word for word in words if "/password/reset/" in word)


def test_a_reset_link_goes_to_the_stored_address_and_works_once(alice: User, visitor: Client):
    assert ask_for_reset(visitor, "ALICE@alice.example").status_code == 302
    (message,) = posted()
    assert message.content["to"] == "alice@alice.example"
    assert not Correspondence.objects.exists()
    link = link_in(message).removeprefix("http://testserver")
    form = visitor.get(link)["Location"]
    assert visitor.post(form, {"password1": NEW, "password2": NEW}).status_code == 302
    assert authenticate(None, username="alice", password=NEW) == alice
    assert "This link has ended" in Client().get(link).content.decode()


def test_reset_answers_alike_for_known_unknown_and_ended(alice: User):
    past = make_customer("past")
    close(past, dt.timedelta(seconds=-1))
    addresses = ["alice@alice.example", "nobody@nowhere.example", "past@past.example"]
    answers = [ask_for_reset(Client(), address) for address in addresses]
    assert {(a.status_code, a["Location"]) for a in answers} == {(302, reverse("account_reset_password_done"))}
    assert [message.content["to"] for message in posted()] == ["alice@alice.example"]


@pytest.mark.parametrize("typed", ["alıce@alice.example", "ａlice@alice.example", "аlice@alice.example"])
def test_a_look_alike_gets_no_reset_mail(alice: User, visitor: Client, typed: str):
    answer = ask_for_reset(visitor, typed)
    assert answer.status_code == 200 and not OutboxMessage.objects.exists()


def test_reset_takes_the_same_statements_for_known_and_unknown(alice: User, visitor: Client):
    path = reverse("account_reset_password")
    emails = ["alice@alice.example", "nobody@nowhere.example"]
    seen = [statements(partial(visitor.post, path, {"email": email})) for email in emails]
    assert seen[0] == seen[1]


def test_one_wish_mails_one_link(alice: User, visitor: Client):
    ask_for_reset(visitor, "alice@alice.example")
    ask_for_reset(visitor, "alice@alice.example")
    wishes = OutboxMessage.objects.filter(kind="reset")
    credentials.answer_wish(wishes[0])
    assert wishes.count() == len(posted()) == 2


def test_a_staff_member_resets_too(rita: User, visitor: Client):
    ask_for_reset(visitor, "rita@staff.example")
    assert [message.content["to"] for message in posted()] == ["rita@staff.example"]


def test_mails_of_the_portal_leave_by_the_outbox_only(alice: User, visitor: Client, mailoutbox: list[Any]):
    ask_for_reset(visitor, "alice@alice.example")
    assert not mailoutbox
    outbox.relay()
    assert [message.to for message in mailoutbox] == [["alice@alice.example"]]


# The change of a password.


def test_a_change_ends_other_sessions_keeps_this_one_and_is_told(alice: User, visitor: Client):
    other = Client()
    sign_in(other, "alice")
    sign_in(visitor, "alice")
    answer = visitor.post(
        reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    )
    assert answer.status_code == 302
    assert visitor.get(reverse("account_change_password")).status_code == 200
    assert other.get(reverse("account_change_password")).status_code == 302
    assert Session.objects.filter(user=alice.pk).count() == 1
    assert AccessEvent.objects.filter(kind="password").count() == 1
    (message,) = posted()
    assert message.content["to"] == "alice@alice.example" and "password" in message.content["subject"]
    assert Correspondence.objects.get().account_id == alice.account_id


def test_a_reset_ends_every_session(alice: User, visitor: Client):
    sign_in(visitor, "alice")
    credentials.change_password(alice, NEW)
    assert not Session.objects.filter(user=alice.pk).exists()
    assert visitor.get(reverse("account_change_password")).status_code == 302


def test_the_old_password_must_be_known(alice: User, visitor: Client):
    sign_in(visitor, "alice")
    visitor.post(reverse("account_change_password"), {"oldpassword": "wrong", "password1": NEW, "password2": NEW})
    assert authenticate(None, username="alice", password=PASSWORD) == alice


def test_a_person_confirms_by_their_own_password(alice: User, bob: User, visitor: Client):
    sign_in(visitor, "alice")
    assert visitor.post(reverse("account_reauthenticate"), {"password": "wrong"}).status_code == 200
    assert visitor.post(reverse("account_reauthenticate"), {"password": PASSWORD}).status_code == 302
    assert "username" not in str(dict(visitor.session.items()))
    assert not PortalAdapter().reauthenticate(bob, "wrong")


def test_a_session_of_somebody_inactive_opens_nothing(alice: User, visitor: Client):
    sign_in(visitor, "alice")
    User.objects.create_user(alice.account, PASSWORD, is_owner=True)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert visitor.get(reverse("account_change_password")).status_code == 302


def test_the_library_writes_none_of_its_own_tables(alice: User, visitor: Client, owner: Any):
    sign_in(visitor, "alice")
    ask_for_reset(visitor, "alice@alice.example")
    assert owner.execute("SELECT count(*) FROM account_emailaddress").fetchone() == (0,)


def test_a_real_worker_notes_the_refusal_and_mails_the_link(
    alice: User, visitor: Client, worker: Worker, mails: Callable[[], list[Any]]
):
    sign_in(visitor, "alice", "wrong")
    visitor.post(reverse("account_reset_password"), {"email": "alice@alice.example"})
    deadline = time.monotonic() + 30
    while not mails() and time.monotonic() < deadline:
        relay.delay()
        time.sleep(0.5)
    assert [mail["To"] for mail in mails()] == ["alice@alice.example"]
    assert AccessEvent.objects.get().kind == "refused"
    assert "alice" not in worker.output()
