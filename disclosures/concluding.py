"""How abuse cases end, and how their keys do: three years after they closed, unless something holds them (P17).

Who may: the abuse desk, legal and the privacy officer; the clock where a remedy was not disputed. A closed case stays
as it ended. With it ends what its customer was told: what fell with the complaint comes back.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import User
from accounts.safeguards import ledger, shredding
from accounts.safeguards.cards import refuse_card_number
from disclosures import judging, lifting, replying, turns
from disclosures.models import AbuseCase, AbuseNotice, CaseOutcome
from disclosures.reporting import action
from retention import schedule
from retention.models import Hold

# Outcomes of a case of which nobody decided whom it concerns.
WITHOUT_CUSTOMER = frozenset({CaseOutcome.NOT_VALID, CaseOutcome.DUPLICATE, CaseOutcome.INCOMPLETE})
# Outcomes that are about what the customer did: there is a notice behind them.
OF_A_NOTICE = frozenset({CaseOutcome.REMEDIED, CaseOutcome.PUT_BACK, CaseOutcome.COURT, CaseOutcome.UNANSWERED})


def close(case_id: UUID, outcome: str, *, by: User, reason: str, at: dt.datetime | None = None) -> AbuseCase:
    """End a case, and the notice of its customer with it; return the case.

    Raises NotActionable without a reason, for one nobody decided whom it concerns, and for an end that did not happen.
    """
    refuse_card_number(reason)
    if outcome not in CaseOutcome.values:
        raise NotActionable("Choose how the case ends.")
    if not reason.strip():
        raise NotActionable("Say why the case ends like this.")
    with keyring(), transaction.atomic(durable=True):
        case = judging.open_case(case_id, by)
        at = at or timezone.now()
        waits = case.found in {AbuseCase.Found.NONE, AbuseCase.Found.SEVERAL}
        if waits and outcome not in WITHOUT_CUSTOMER:
            raise NotActionable(f"Case {case.reference}: say first whom it concerns, or that it is nobody of ours.")
        notice = AbuseNotice.objects.select_for_update(of=("self",)).filter(case=case.pk, ended_at=None).first()
        if notice is not None and case.account is not None:
            how = lifting.ENDS[CaseOutcome(outcome)]
            lifting.end(notice, case.account, case, how, by=by.actor, at=at, why=reason.strip())
        elif outcome in OF_A_NOTICE:
            raise NotActionable(f"Case {case.reference}: its customer was told nothing that is still open.")
        close_within(case, outcome, by=by.actor, at=at, reason=reason.strip())
    return case


def close_within(case: AbuseCase, outcome: str, *, by: str, at: dt.datetime, reason: str) -> None:
    """Close a locked case whose notice ended, in the caller's transaction."""
    if case.closed_at is not None:
        return
    case.closed_at, case.closed_by, case.outcome = at, by, CaseOutcome(outcome)
    case.outcome_reason = reason
    case.save(update_fields=["closed_at", "closed_by", "outcome", "outcome_reason"])
    ledger.record(by, action(case, "closed"), case.pk, at=at, outcome=str(outcome))
    replying.tell_reporter(case, replying.Step.CLOSED, at)


def forget(at: dt.datetime | None = None) -> int:
    """Order the end of the keys of cases that closed three years ago and that nothing holds; return how many."""
    at = at or timezone.now()
    held = Hold.objects.active(at).filter(account=OuterRef("account"))
    over = AbuseCase.objects.filter(~Exists(held), closed_at__lte=at - schedule.span("case_kept"), forgotten_at=None)
    return turns.take(list(over.order_by("closed_at", "pk").values_list("pk", flat=True)), _forget, at)


def _forget(case_id: UUID, at: dt.datetime) -> bool:
    with transaction.atomic(durable=True):
        # The database refuses the case of an account that was held meanwhile.
        if not AbuseCase.objects.filter(pk=case_id, forgotten_at=None).update(forgotten_at=at):
            return False
        shredding.order({case_id: ["notices"]})
        ledger.record(ledger.SYSTEM, "case.forgotten", case_id, at=at)
    return True
