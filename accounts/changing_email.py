"""Changing an e-mail address: it counts once it was confirmed at the old and at the new one (P2, P21).

Who may: each member for their own sign-in address; owners for the owner contact's. A code goes to each address; both,
typed within the time and in a few tries, change sign-in name and contact together. Either code stops the change
without sign-in. A new address that somebody else signs in with gets a mail that says so and no code: the asker's answer
and the stored row are the same. Afterwards other sessions have ended and the old address was told.
"""

from __future__ import annotations

import datetime as dt
import hmac
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import credentials, mailing, members, recording
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.identifiers import reference, short_code
from accounts.keys.keyring import keyring
from accounts.members import Part
from accounts.models import AccessEvent, Account, Contact, EmailChange, SignInIdentifier, User
from accounts.registering import unique_names
from accounts.safeguards import ledger
from accounts.safeguards.finding import clean_email, derived_key, digest, normalised
from accounts.sessions import end_sessions

# Wrong codes that are looked at; with 38 bits a code, nobody guesses one.
MOST_TRIES = 5
LONGEST_CODE = 40
EMAIL = SignInIdentifier.Kind.EMAIL


class WrongCode(NotActionable):
    """A code is not the one that was sent; the try was counted."""


def open_changes(account_id: UUID, at: dt.datetime) -> QuerySet[EmailChange]:
    """Return the changes of an account that still wait for their codes."""
    return EmailChange.objects.filter(account=account_id, done_at=None, withdrawn_at=None, ends_at__gt=at)


def ask(
    account_id: UUID,
    *,
    by: User,
    email: str,
    lasts: dt.timedelta,
    submission: UUID,
    contact: UUID | None = None,
    at: dt.datetime | None = None,
) -> EmailChange:
    """Begin a change of the own address, or of the owner contact's, and return it; the codes are good for `lasts`.

    An earlier change of the same address that is not done ends. Raises ValidationError for an address of the wrong form
    or the present one.
    """
    at = at or timezone.now()
    email = clean_email(email)
    with keyring(), transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        made = EmailChange.objects.filter(pk=submission).first()
        if made is not None and (made.account_id, made.asked_by) == (account.pk, by.pk):
            return made
        if made is not None:
            raise NotActionable(USED_FORM)
        change = _change(account, by, contact)
        if normalised("email", change.old_email) == normalised("email", email):
            raise ValidationError(_("This is the present address. Enter the new one."), code="email")
        _withdraw_earlier(account, change, at)
        codes = short_code(), short_code()
        change.pk, change.new_email, change.asked_at, change.ends_at = submission, email, at, at + lasts
        change.old_digest, change.new_digest = (_digest(submission, side, code) for side, code in enumerate(codes))
        change.save(force_insert=True)
        ledger.record(by.actor, "email.change_asked", account.pk, change=change.pk, at=at)
        _send_codes(account, change, *codes)
    return change


def confirm(
    change_id: UUID,
    *,
    by: User,
    old_code: str = "",
    new_code: str = "",
    request: HttpRequest | None = None,
    at: dt.datetime | None = None,
) -> EmailChange:
    """Take one code or both, and change the address once both were right; a change that is done stays so.

    Raises WrongCode, NotActionable when it ended, PermissionDenied for anybody but who asked.
    """
    at = at or timezone.now()
    with keyring(), unique_names(), transaction.atomic(durable=True):
        change, account = _locked(change_id)
        if change.asked_by != by.pk or by.account_id != account.pk:
            raise PermissionDenied("Only who asked for the change of an address can confirm it.")
        if change.done_at is not None:
            return change
        _refuse_ended(change, at)
        members.refuse_closed(account)
        is_right = _take(change, old_code, new_code, at)
        if is_right and change.old_confirmed_at and change.new_confirmed_at:
            _carry_out(change, account, by, request, at)
    if not is_right:
        raise WrongCode("One of these codes is not the one we sent. Check it in the mail and try again.")
    return change


def stop(change_id: UUID, code: str, *, at: dt.datetime | None = None) -> bool:
    """End a change by the code of either mail, and return whether it was right; no sign-in is needed.

    An unknown change, a wrong code and one that ended get the same answer. Whoever gave a right code for a change that
    is done gets NotActionable.
    """
    at = at or timezone.now()
    if not EmailChange.objects.filter(pk=change_id).exists():
        return False
    with keyring(), transaction.atomic(durable=True):
        change, account = _locked(change_id)
        if change.tries >= MOST_TRIES or at >= change.ends_at:
            return False
        if not any(_matches(change, side, code) for side in (0, 1)):
            _count_try(change, at)
            return False
        if change.done_at is not None:
            raise NotActionable("This change was made already. Set a new password and write to us at once.")
        if change.withdrawn_at is None:
            _withdraw(change, "code", at)
    return True


def withdraw(change_id: UUID, *, by: User, at: dt.datetime | None = None) -> EmailChange:
    """End a change, for who asked; one that ended stays so."""
    at = at or timezone.now()
    with transaction.atomic(durable=True):
        change, _account = _locked(change_id)
        if change.asked_by != by.pk:
            raise PermissionDenied("Only who asked for the change of an address can end it here.")
        if change.done_at is None and change.withdrawn_at is None:
            _withdraw(change, by.actor, at)
    return change


def _change(account: Account, by: User, contact_id: UUID | None) -> EmailChange:
    """Return an unsaved change of what belongs together: a contact and a sign-in name with one address."""
    members.refuse_closed(account)
    now = members.active(account.pk).filter(pk=by.pk).first()
    if now is None:
        raise PermissionDenied("An address is changed by the people of its account.")
    own = members.addresses([by.pk]).get(by.pk)
    contact = None
    if now.is_owner:
        contact = Contact.objects.owners([account.pk]).first()
    if contact_id is not None:
        members.refuse_unless(by, account, Part.CONTACTS)
        if contact is None or contact.pk != contact_id:
            raise NotActionable("Only the owner contact's address is changed by codes: edit this contact instead.")
    elif contact is not None and own is not None and not _same(contact.email, own):
        contact = None
    old = contact.email if contact is not None else own
    if old is None:
        raise NotActionable("You sign in without an e-mail address, so there is none to change.")
    is_own = own is not None and _same(old, own)
    return EmailChange(
        account=account,
        user=by.pk if is_own else None,
        contact=contact.pk if contact else None,
        old_email=old,
        asked_by=by.pk,
    )


def _withdraw_earlier(account: Account, change: EmailChange, at: dt.datetime) -> None:
    same = Q(user=change.user, user__isnull=False) | Q(contact=change.contact, contact__isnull=False)
    open_changes(account.pk, at).filter(same).update(withdrawn_at=at)


def _send_codes(account: Account, change: EmailChange, old_code: str, new_code: str) -> None:
    """Post both mails; what is in use elsewhere is told to its holder alone, in a mail that takes as long."""
    common = {
        "reference": reference("SEC"),
        "asked_at": change.asked_at,
        "ends_at": change.ends_at,
        "page_path": reverse("accounts:email_codes", args=[change.pk]),
        "stop_path": reverse("accounts:email_stop", args=[change.pk]),
    }
    taken = SignInIdentifier.objects.filter(kind=EMAIL, digest=digest(EMAIL, change.new_email), signs_in=True)
    in_use = taken.exclude(user=change.user).exists() and change.user is not None
    new = "accounts/mail/email_in_use.txt" if in_use else "accounts/mail/email_change_new.txt"
    for event, to, template, code in (
        ("old", change.old_email, "accounts/mail/email_change_old.txt", old_code),
        ("new", change.new_email, new, new_code),
    ):
        context = {**common, "code": code}
        key = f"email:{change.pk}:{event}"
        mailing.mail(account, key, template, context, to=to, store=False, at=change.asked_at)


def _locked(change_id: UUID) -> tuple[EmailChange, Account]:
    account_id = EmailChange.objects.values_list("account_id", flat=True).get(pk=change_id)
    account = Account.objects.locked([account_id]).get()
    return EmailChange.objects.get(pk=change_id), account


def _refuse_ended(change: EmailChange, at: dt.datetime) -> None:
    if change.withdrawn_at is not None or change.tries >= MOST_TRIES or at >= change.ends_at:
        raise NotActionable("This change of an address has ended, and nothing was changed. Ask for a new one.")


def _take(change: EmailChange, old_code: str, new_code: str, at: dt.datetime) -> bool:
    """Note which codes were right; a sending with a wrong one counts as a try. Return whether none was wrong."""
    given = [(side, code) for side, code in enumerate((old_code, new_code)) if code.strip()]
    right = {side for side, code in given if _matches(change, side, code)}
    for side, name in enumerate(("old_confirmed_at", "new_confirmed_at")):
        if side in right and getattr(change, name) is None:
            setattr(change, name, at)
            change.save(update_fields=[name])
    if given and len(right) == len(given):
        return True
    _count_try(change, at)
    return False


def _count_try(change: EmailChange, at: dt.datetime) -> None:
    """Count one try, in the row itself; the last one ends the change."""
    EmailChange.objects.filter(pk=change.pk).update(tries=F("tries") + 1)
    change.refresh_from_db(fields=["tries"])
    if change.tries >= MOST_TRIES and change.done_at is None and change.withdrawn_at is None:
        _withdraw(change, ledger.SYSTEM, at)


def _withdraw(change: EmailChange, who: str, at: dt.datetime) -> None:
    change.withdrawn_at = change.withdrawn_at or at
    change.save(update_fields=["withdrawn_at"])
    ledger.record(who, "email.change_ended", change.account_id, change=change.pk, at=at)


def _carry_out(change: EmailChange, account: Account, by: User, request: HttpRequest | None, at: dt.datetime) -> None:
    if change.contact is not None:
        contact = Contact.objects.filter(pk=change.contact, removed_at=None).first()
        if contact is not None and _same(contact.email, change.old_email):
            contact.email = change.new_email
            contact.save(update_fields=["email"])
    ended = 0
    if change.user is not None:
        _sign_in_with(change)
        _secure(by, at)
        ended = end_sessions(user=by.pk, keep=_session_of(by, request))
        if request is not None:
            recording.note_request(by, AccessEvent.Kind.EMAIL, request)
    change.done_at = at
    change.save(update_fields=["done_at"])
    ledger.record(by.actor, "email.changed", account.pk, change=change.pk, sessions=ended, at=at)
    context = {"reference": reference("SEC"), "changed_at": at}
    template = "accounts/mail/email_changed.txt"
    mailing.mail(account, f"email:{change.pk}:done", template, context, to=change.old_email, at=at)


def _sign_in_with(change: EmailChange) -> None:
    own = SignInIdentifier.objects.filter(user=change.user, kind=EMAIL, signs_in=True).first()
    if own is None or not _same(own.value, change.old_email):
        raise NotActionable("The sign-in address was changed meanwhile, so these codes change nothing.")
    own.value, own.digest = change.new_email, digest(EMAIL, change.new_email)
    own.save(update_fields=["value", "digest"])


def _secure(user: User, at: dt.datetime) -> None:
    """Note the moment (a deletion asked for soon after waits), and end the reset links sent to the old address."""
    credentials.note_secured(user, at)
    # Such a link is made over the time of the last sign-in; this is one: the password was asked for just now.
    user.last_login = at
    user.save(update_fields=["last_login"])


def _session_of(user: User, request: HttpRequest | None) -> str | None:
    if request is None or getattr(request, "user", None) != user:
        return None
    key: str | None = request.session.session_key
    return key


def _same(one: str, other: str) -> bool:
    return normalised("email", one) == normalised("email", other)


def _matches(change: EmailChange, side: int, code: str) -> bool:
    expected = bytes((change.old_digest, change.new_digest)[side])
    return hmac.compare_digest(expected, _digest(change.pk, side, code))


def _digest(change_id: UUID, side: int, code: str) -> bytes:
    """Return the keyed hash of a code, bound to its change and to the address it went to."""
    typed = "".join(code[:LONGEST_CODE].split()).replace("-", "").upper()
    return hmac.digest(derived_key("codes of an address"), f"{change_id}:{side}:{typed}".encode(), "sha256")
