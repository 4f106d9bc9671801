"""Sessions: rows that know their account, sealed, ended by acts; no row ever changes its subject."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.expiring import expire
from accounts.models import Session, User
from accounts.sessions import SessionStore, end_sessions
from tests.cast import PASSWORD, open_session

pytestmark = pytest.mark.usefixtures("committed")


def anonymous(**content: Any) -> SessionStore:
    session = SessionStore()
    session.update(content)
    session.create()
    return session


def test_a_session_keeps_what_was_put_in():
    session = anonymous(word="canary")
    assert SessionStore(session.session_key)["word"] == "canary"


def test_what_a_session_holds_stands_nowhere_in_clear():
    row = Session.objects.get(pk=anonymous(word="canary").session_key)
    assert b"canary" not in base64.b64decode(row.session_data)
    assert "canary" not in row.session_data


def test_the_librarys_own_encoding_would_be_readable():
    """Negative control: what Django stores by itself is signed, not sealed."""
    from django.contrib.sessions.backends.signed_cookies import SessionStore as Readable

    session = Readable()
    session["word"] = "canary"
    text = session._get_session_key().split(":")[0].lstrip(".")
    assert b"canary" in base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_value_copied_into_another_row_does_not_open():
    first, second = anonymous(word="canary"), anonymous(word="other")
    data = Session.objects.get(pk=first.session_key).session_data
    Session.objects.filter(pk=second.session_key).update(session_data=data)
    assert dict(SessionStore(second.session_key).items()) == {}


@pytest.mark.parametrize("data", ["", "not base64!", "YWJj", base64.b64encode(b"x" * 60).decode()])
def test_an_altered_value_is_an_empty_session(data: str):
    session = anonymous(word="canary")
    Session.objects.filter(pk=session.session_key).update(session_data=data)
    assert dict(SessionStore(session.session_key).items()) == {}


def test_an_ended_session_is_empty():
    session = anonymous(word="canary")
    Session.objects.filter(pk=session.session_key).update(expire_date=timezone.now())
    assert "word" not in SessionStore(session.session_key)


def test_the_row_knows_account_and_user_once_somebody_signs_in(alice: User):
    visitor = Client()
    visitor.get(reverse("account_login") + "?next=/help/")
    session = visitor.session
    session["word"] = "kept"
    session.save()
    assert Session.objects.get().account_id is None
    visitor.post(reverse("account_login"), {"login": "alice", "password": PASSWORD})
    row = Session.objects.get()
    assert (row.account_id, row.user) == (alice.account_id, alice.pk)
    assert row.pk != session.session_key
    assert visitor.session["word"] == "kept"


def test_signing_in_on_an_anonymous_row_makes_a_new_row(alice: User):
    session = anonymous(word="kept")
    born = Session.objects.get(pk=session.session_key).created_at
    session[SESSION_KEY] = str(alice.pk)
    session.save()
    row = Session.objects.get(pk=session.session_key)
    assert row.account_id == alice.account_id and row.created_at > born


def test_a_row_never_moves_to_another_account(alice: User, bob: User):
    session = open_session(alice)
    with pytest.raises(DatabaseError, match="keeps its account"):
        Session.objects.filter(pk=session.session_key).update(account=bob.account_id)


def test_a_session_that_was_ended_meanwhile_is_not_made_again(alice: User):
    session = open_session(alice)
    end_sessions(user=alice.pk)
    session["word"] = "late"
    with pytest.raises(UpdateError):
        session.save()
    assert not Session.objects.exists()


def test_sessions_of_a_user_end_but_for_one(alice: User, bob: User):
    kept, gone, other = open_session(alice), open_session(alice), open_session(bob)
    assert end_sessions(user=alice.pk, keep=kept.session_key) == 1
    assert set(Session.objects.values_list("pk", flat=True)) == {kept.session_key, other.session_key}
    assert not SessionStore(gone.session_key).get(BACKEND_SESSION_KEY)


def test_sessions_of_an_account_end(alice: User, bob: User):
    open_session(alice), open_session(alice), open_session(bob)
    assert end_sessions(account=alice.account_id) == 2
    assert Session.objects.get().user == bob.pk


def test_whose_sessions_end_must_be_said(alice: User):
    with pytest.raises(TypeError):
        end_sessions()
    with pytest.raises(TypeError):
        end_sessions(user=alice.pk, account=alice.account_id)


def test_sessions_past_their_date_are_deleted(alice: User):
    past, present = open_session(alice), open_session(alice)
    Session.objects.filter(pk=past.session_key).update(expire_date=timezone.now())
    assert expire() == 1
    assert Session.objects.get().pk == present.session_key


def test_signing_out_deletes_the_row(alice: User):
    visitor = Client()
    visitor.post(reverse("account_login"), {"login": "alice", "password": PASSWORD})
    assert Session.objects.exists()
    visitor.post(reverse("account_logout"))
    assert not Session.objects.filter(user=alice.pk).exists()
