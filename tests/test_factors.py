"""Second factors: nothing of them stands in clear, every change is told and on record, and a code counts once (P21)."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.core.cache import cache
from django.db import connection
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import factors, factors_kept
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import AccessEvent, Correspondence, Session, User
from accounts.safeguards import outbox
from accounts.safeguards.models import LedgerEntry
from accounts.safeguards.sealing import DoesNotOpen
from retention import closing, purge
from tests.cast import DAY, PASSWORD, furnish, make_customer, open_session
from tests.passkeys import SoftKey, give_passkey
from tests.visiting import signed_in, words

pytestmark = pytest.mark.usefixtures("committed")
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NAME = "Zanzibara blue key"
JUNK = [
    "[]",
    "{}",
    '"x"',
    "null",
    "not json",
    '{"response": 5}',
    '{"response": {"userHandle": 5}}',
    '{"response": {"userHandle": "AAAA"}}',
    '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", '
    '"attestationObject": "oA"}}',
    '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", '
    '"authenticatorData": "AA", "signature": "AA", "userHandle": "AA"}}',
]


def equip(user: User, *, passkey: bool = False) -> list[str]:
    """Give the user an app with SECRET and recovery codes, maybe a passkey too; return the codes."""
    with keyring():
        TOTP.activate(user, SECRET)
        if passkey:
            WebAuthn.add(user, NAME, {**SoftKey().create(), "canary": "zanzibaracredential"})
        return RecoveryCodes.activate(user).get_unused_codes()


def code(later: int = 0) -> str:
    """Return the code of SECRET now, or some periods later: each is taken once."""
    return factors.code_of(SECRET, time.time() + later * factors.PERIOD)


def raw(table: str) -> str:
    """Return a table as the database keeps it, and what its base64 holds."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT t::text FROM "{table}" t')
        text = "\n".join(row for (row,) in cursor.fetchall())
    return text + "".join(_opened(word) for word in text.replace('"', " ").replace(",", " ").split())


def _opened(word: str) -> str:
    try:
        return base64.b64decode(word.strip("{}()")).decode("latin-1")
    except ValueError:
        return ""


# What the database keeps.


def test_no_secret_and_no_name_stands_in_the_database(alice: User):
    codes = equip(alice, passkey=True)
    visitor = signed_in(alice)
    other = signed_in(make_customer("other"))
    shown = other.get(reverse("mfa_activate_totp")).context["form"].secret
    visitor.get(reverse("mfa_view_recovery_codes"))
    seed = Authenticator.objects.get(user=alice, type="recovery_codes").data["seed"]

    kept = raw("mfa_authenticator") + raw("accounts_session")

    assert "sealed" in kept and shown
    for word in (SECRET, seed, NAME, "zanzibaracredential", shown, *codes, "used_mask"):
        assert word not in kept, word


def test_without_the_seal_the_search_above_finds_them(alice: User):
    """Negative control: what the library writes by itself is readable."""
    assert pre_save.disconnect(sender=Authenticator, dispatch_uid="factors: seal")
    try:
        equip(alice, passkey=True)
        assert SECRET in raw("mfa_authenticator") and NAME in raw("mfa_authenticator")
    finally:
        pre_save.connect(factors_kept._seal, sender=Authenticator, dispatch_uid="factors: seal")


def test_a_row_copied_to_another_user_does_not_open(alice: User, bob: User):
    equip(alice), equip(bob)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE mfa_authenticator SET data = other.data FROM mfa_authenticator other"
            " WHERE other.user_id = %s AND other.type = 'totp'"
            " AND mfa_authenticator.user_id = %s AND mfa_authenticator.type = 'totp'",
            [alice.pk, bob.pk],
        )

    assert Authenticator.objects.get(user=alice, type="totp").data["secret"] == SECRET
    with pytest.raises(DoesNotOpen):
        Authenticator.objects.get(user=bob, type="totp")


def test_a_row_written_past_the_portal_opens_nothing(alice: User):
    equip(alice)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mfa_authenticator SET data = %s WHERE type = 'totp'", [json.dumps({"secret": "A" * 32})])

    with pytest.raises(DoesNotOpen, match="not written by the portal"):
        Authenticator.objects.get(user=alice, type="totp")


def test_second_factors_are_erased_with_their_account():
    user = furnish(make_customer("gone"))
    equip(user, passkey=True)
    closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - 31 * DAY)

    purge.ring()

    assert not Authenticator.objects.exists()


# Signing in.


def begin(user: str = "alice") -> Client:
    visitor = Client(HTTP_USER_AGENT="Mozilla/5.0", REMOTE_ADDR="203.0.113.9")
    answer = visitor.post(reverse("account_login"), {"login": user, "password": PASSWORD, "next": "/invoices/"})
    assert answer["Location"] == reverse("mfa_authenticate")
    return visitor


def test_password_and_code_sign_in_and_lead_where_one_wanted(alice: User):
    equip(alice)
    visitor = begin()
    assert "_auth_user_id" not in visitor.session
    assert visitor.get("/")["Location"].startswith(reverse("account_login"))

    answer = visitor.post(reverse("mfa_authenticate"), {"code": code()})

    assert answer["Location"] == "/invoices/"
    assert visitor.get("/").status_code == 200
    assert AccessEvent.objects.get(user=alice.pk).kind == "sign_in"


def test_a_code_counts_once(alice: User):
    equip(alice)
    used = code()
    assert begin().post(reverse("mfa_authenticate"), {"code": used}).status_code == 302

    answer = begin().post(reverse("mfa_authenticate"), {"code": used})

    assert "That did not match." in words(answer)


def test_a_recovery_code_signs_in_once(alice: User):
    codes = equip(alice)
    assert begin().post(reverse("mfa_authenticate"), {"code": codes[0]}).status_code == 302

    again, next_one = (begin().post(reverse("mfa_authenticate"), {"code": one}) for one in codes[:2])

    assert (again.status_code, next_one.status_code) == (200, 302)
    visitor = signed_in(alice)
    assert "8 codes left." in words(visitor.get(reverse("mfa_index")))


def test_wrong_codes_are_noted_and_limited(alice: User):
    equip(alice)
    visitor = begin()
    pages = [visitor.post(reverse("mfa_authenticate"), {"code": f"00000{n}"}) for n in range(6)]
    outbox.relay()

    assert "There were too many attempts." in words(pages[-1])
    assert "That did not match." in words(pages[0])
    assert AccessEvent.objects.filter(user=alice.pk, kind="refused").count() == 5
    assert visitor.post(reverse("mfa_authenticate"), {"code": code()}).status_code == 200


def test_a_code_typed_by_somebody_without_a_password_opens_nothing(alice: User):
    equip(alice)

    answer = Client().post(reverse("mfa_authenticate"), {"code": code()})

    assert answer["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("credential", JUNK)
@pytest.mark.parametrize(
    "page", ["mfa_login_webauthn", "mfa_authenticate", "mfa_add_webauthn", "mfa_reauthenticate_webauthn"]
)
def test_what_is_no_passkey_is_refused_and_breaks_nothing(alice: User, page: str, credential: str):
    with keyring():
        TOTP.activate(alice, SECRET)
    if page == "mfa_login_webauthn":
        visitor = Client()
        visitor.get(reverse(page), headers={"x-requested-with": "XMLHttpRequest"})
    elif page == "mfa_authenticate":
        visitor = begin()
        visitor.get(reverse(page))
    else:
        visitor = signed_in(alice)
        visitor.get(reverse(page))

    answer = visitor.post(reverse(page), {"credential": credential, "name": "x"})

    assert answer.status_code in {200, 302}
    assert not Authenticator.objects.filter(type="webauthn").exists()
    assert page not in {"mfa_login_webauthn", "mfa_authenticate"} or "_auth_user_id" not in visitor.session


# Changes.


def test_setting_up_an_app_is_told_noted_and_ends_the_other_sessions(alice: User):
    visitor, other = signed_in(alice), open_session(alice)
    page = visitor.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret
    assert "<svg" in page.content.decode() and "data:image" not in page.content.decode()
    assert secret in words(page)

    visitor.post(reverse("mfa_activate_totp"), {"code": factors.code_of(secret)})

    alice.refresh_from_db()
    entry = LedgerEntry.objects.get(action="factor.changed")
    mail = Correspondence.objects.get(event__startswith="factor:")
    assert alice.secured_at is not None
    assert AccessEvent.objects.filter(user=alice.pk, kind="factor").count() == 1
    assert '"app_added"' in entry.body and '"sessions":1' in entry.body
    assert "An authenticator app was added to your account" in mail.body
    assert not Session.objects.filter(pk=other.session_key).exists()
    for text in (entry.body, mail.body, mail.subject):
        assert secret not in text
    assert len(visitor.get(reverse("mfa_view_recovery_codes")).context["codes"]) == 10


def test_a_wrong_first_code_sets_nothing_up(alice: User):
    visitor = signed_in(alice)
    visitor.get(reverse("mfa_activate_totp"))

    answer = visitor.post(reverse("mfa_activate_totp"), {"code": "000000"})

    assert "That did not match." in words(answer)
    assert not Authenticator.objects.exists() and not LedgerEntry.objects.filter(action="factor.changed").exists()


@pytest.mark.parametrize(
    ("page", "change", "said"),
    [
        ("mfa_deactivate_totp", "app_removed", "The authenticator app of your account was removed"),
        ("mfa_remove_webauthn", "passkey_removed", "A passkey of your account was removed"),
        ("mfa_generate_recovery_codes", "codes_made", "New recovery codes were made for your account"),
    ],
)
def test_every_other_change_is_told_too(alice: User, page: str, change: str, said: str):
    codes = equip(alice, passkey=True)
    visitor = signed_in(alice)
    passkey = Authenticator.objects.get(type="webauthn").pk
    url = reverse(page, args=[passkey] if "webauthn" in page else [])
    assert visitor.get(url).status_code == 200
    assert LedgerEntry.objects.filter(action="factor.changed").count() == 0

    visitor.post(url)

    assert f'"{change}"' in LedgerEntry.objects.get(action="factor.changed").body
    assert said in Correspondence.objects.get(event__startswith="factor:").body
    left = Authenticator.objects.filter(user=alice, type="recovery_codes").first()
    assert left is not None
    assert (left.wrap().get_unused_codes() != codes) == (change == "codes_made")


def test_a_passkey_is_renamed_without_a_card_number(alice: User):
    equip(alice, passkey=True)
    visitor, url = signed_in(alice), reverse("mfa_edit_webauthn", args=[Authenticator.objects.get(type="webauthn").pk])

    refused = visitor.post(url, {"name": "4242 4242 4242 4242"})
    renamed = visitor.post(url, {"name": "Black key"})

    assert refused.status_code == 200 and renamed.status_code == 302
    assert "Black key" in words(visitor.get(reverse("mfa_list_webauthn")))


def test_somebody_elses_passkey_is_not_there(alice: User, bob: User):
    equip(alice, passkey=True)
    pk = Authenticator.objects.get(type="webauthn").pk

    for page in ("mfa_edit_webauthn", "mfa_remove_webauthn"):
        assert signed_in(bob).get(reverse(page, args=[pk])).status_code == 404
        assert signed_in(bob).post(reverse(page, args=[pk]), {"name": "mine"}).status_code == 404
    assert Authenticator.objects.get(pk=pk).wrap().name == NAME


# Asking again.


def grow_old(visitor: Client, seconds: int = 601) -> Client:
    """Let the last proof of this browser be that old."""
    session = visitor.session
    noted: list[dict[str, Any]] = session[AUTHENTICATION_METHODS_SESSION_KEY]
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{**one, "at": one["at"] - seconds} for one in noted]
    session.save()
    return visitor


SENSITIVE = (
    "mfa_activate_totp",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "mfa_add_webauthn",
    "accounts:session_end",
)


@pytest.mark.parametrize("page", SENSITIVE)
def test_sensitive_steps_ask_again_after_ten_minutes(bob: User, page: str):
    visitor = grow_old(signed_in(bob))

    for answer in (visitor.get(reverse(page)), visitor.post(reverse(page), {"session": "others"})):
        assert answer["Location"].startswith(f"{reverse('account_reauthenticate')}?next=")


def test_before_ten_minutes_nothing_is_asked_again(bob: User):
    assert grow_old(signed_in(bob), 590).get(reverse("mfa_activate_totp")).status_code == 200


def test_password_or_code_confirms_and_leads_back(alice: User):
    equip(alice)
    wanted = reverse("mfa_view_recovery_codes")

    by_password = grow_old(signed_in(alice))
    asked = by_password.get(wanted)["Location"]
    assert "Use a code of your app or a recovery code" in words(by_password.get(asked))
    assert by_password.post(asked, {"password": "wrong"}).status_code == 200
    assert by_password.post(asked, {"password": PASSWORD})["Location"] == wanted
    by_code = grow_old(signed_in(alice))
    cache.clear()
    confirm = f"{reverse('mfa_reauthenticate')}?next={wanted}"
    assert by_code.post(confirm, {"code": code()})["Location"] == wanted

    assert by_password.get(wanted).status_code == by_code.get(wanted).status_code == 200


# Passkeys, by a key made of software; a real browser stands in test_browser_passkeys.py.


def question(visitor: Client) -> str:
    answer = visitor.get(reverse("mfa_login_webauthn"), headers={"x-requested-with": "XMLHttpRequest"}).json()
    challenge: str = answer["request_options"]["publicKey"]["challenge"]
    return challenge


def answer_with(visitor: Client, soft: SoftKey, user: User) -> Any:
    return visitor.post(
        reverse("mfa_login_webauthn"),
        {"credential": json.dumps(soft.get(question(visitor), user)), "next": "/invoices/"},
    )


def test_a_passkey_signs_in_alone_and_proves_a_second_factor(rita: User):
    soft, row = give_passkey(rita)
    visitor = Client()

    assert answer_with(visitor, soft, rita).status_code == 302

    assert visitor.get("/admin/").status_code == 200
    assert Authenticator.objects.get(pk=row.pk).last_used_at is not None


def test_a_passkey_is_added_when_the_device_checks_its_owner(alice: User):
    visitor = signed_in(alice)
    url = reverse("mfa_add_webauthn")

    def add(soft: SoftKey) -> Any:
        options = visitor.get(url).context["js_data"]["options"]["publicKey"]
        assert options["authenticatorSelection"]["userVerification"] == "required"
        return visitor.post(url, {"credential": json.dumps(soft.create(options["challenge"])), "name": NAME})

    unchecked, elsewhere, checked = add(SoftKey(verifies=False)), add(SoftKey("evil.example")), add(SoftKey())

    assert (unchecked.status_code, elsewhere.status_code) == (200, 200)
    assert checked["Location"] == reverse("mfa_view_recovery_codes")
    assert Authenticator.objects.get(type="webauthn").wrap().name == NAME
    assert "A passkey was added to your account" in Correspondence.objects.get(event__startswith="factor:").body


def test_an_answer_counts_once_for_one_question_and_one_person(alice: User, bob: User):
    soft, _ = give_passkey(alice)
    visitor = Client()
    credential = json.dumps(soft.get(question(visitor), alice))
    for_bob = json.dumps(soft.get(question(Client()), bob))

    assert visitor.post(reverse("mfa_login_webauthn"), {"credential": for_bob})["Location"] == reverse("account_login")
    assert visitor.post(reverse("mfa_login_webauthn"), {"credential": credential}).status_code == 302
    assert visitor.session["_auth_user_id"] == str(alice.pk)
    other = Client()
    question(other)
    other.post(reverse("mfa_login_webauthn"), {"credential": credential})
    assert "_auth_user_id" not in other.session


@pytest.mark.parametrize("reason", ["inactive", "past the due date"])
def test_a_passkey_of_whoever_may_not_sign_in_is_refused_like_an_unknown_one(alice: User, reason: str):
    soft, _ = give_passkey(alice)
    if reason == "inactive":
        User.objects.create_user(alice.account, None, is_owner=True)
        User.objects.filter(pk=alice.pk).update(is_active=False)
    else:
        closing.close(alice.account_id, by=alice, submission=uuid7(), at=timezone.now() - 31 * DAY)
    visitors = Client(), Client()

    known = visitors[0].post(
        reverse("mfa_login_webauthn"), {"credential": json.dumps(soft.get(question(visitors[0]), alice))}, follow=True
    )
    unknown = visitors[1].post(
        reverse("mfa_login_webauthn"),
        {"credential": json.dumps(SoftKey().get(question(visitors[1]), alice))},
        follow=True,
    )

    assert "That did not match." in words(known)
    assert words(known) == words(unknown)
    assert "_auth_user_id" not in visitors[0].session


def test_a_passkey_confirms_and_a_stranger_s_does_not(alice: User):
    soft, _ = give_passkey(alice)
    wanted = reverse("mfa_view_recovery_codes")
    visitor = grow_old(signed_in(alice))
    url = f"{reverse('mfa_reauthenticate_webauthn')}?next={wanted}"

    def confirm(key: SoftKey) -> Any:
        challenge = visitor.get(url).context["js_data"]["request_options"]["publicKey"]["challenge"]
        return visitor.post(url, {"credential": json.dumps(key.get(challenge, alice)), "next": wanted})

    assert "That did not match." in words(confirm(SoftKey()))
    assert confirm(soft)["Location"] == wanted
    assert visitor.get(wanted).status_code == 200


def test_the_device_names_the_user_by_what_they_type(alice: User):
    options = signed_in(alice).get(reverse("mfa_add_webauthn")).context["js_data"]["options"]["publicKey"]

    assert options["user"]["name"] == "alice"
    assert options["rp"] == {"id": "testserver", "name": "ChicagoCloud"}
