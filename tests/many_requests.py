"""A register of many legal requests at once, by SQL over what `tests.legal` makes: copies of one, of every standing.

What is sealed in a copy opens for nobody, so a list that opened any of it would break here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import psycopg

from accounts.models import Account
from disclosures.models import LegalRequest
from tests import legal

TABLES = {
    "disclosures_legalrequest": "z_guard_legal_request",
    "disclosures_sought": "z_guard_sought",
    "disclosures_silence": "z_guard_silence",
}
# A tenth is overdue, a fifth has no date, a tenth has ended, half is verified, a third is somebody's.
REQUESTS = """
    INSERT INTO disclosures_legalrequest
    SELECT (jsonb_populate_record(r, jsonb_build_object(
        'id', gen_random_uuid(), 'submission', gen_random_uuid(), 'reference', 'LEG-' || lpad(n::text, 8, '0'),
        'instrument', (ARRAY['grand_jury_subpoena', 'civil_subpoena', 'search_warrant', 'preservation'])[n %% 4 + 1],
        'jurisdiction', (ARRAY['US-IL', 'US', 'US-CA', 'DE'])[n %% 4 + 1],
        'received_at', now() - n * interval '1 minute',
        'due_at', CASE WHEN n %% 5 > 0 THEN now() + (n %% 100 - 10) * interval '1 day' END,
        'verified_at', CASE WHEN n %% 2 = 0 THEN now() END,
        'verified_by', CASE WHEN n %% 2 = 0 THEN gen_random_uuid() END,
        'assigned_to', CASE WHEN n %% 3 = 0 THEN (%(staff)s::uuid[])[n %% cardinality(%(staff)s::uuid[]) + 1] END,
        'closed_at', CASE WHEN n %% 10 = 7 THEN now() END,
        'closed_by', CASE WHEN n %% 10 = 7 THEN gen_random_uuid() END,
        'outcome', CASE WHEN n %% 10 = 7 THEN 'rejected' ELSE '' END))).*
      FROM disclosures_legalrequest r, generate_series(1, %(count)s) n WHERE r.id = %(model)s
"""
SOUGHT = """
    INSERT INTO disclosures_sought
    SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid(), 'request_id', r.id))).*
      FROM disclosures_legalrequest r, disclosures_sought s WHERE s.request_id = %(model)s AND r.id <> %(model)s
"""
SILENCE = """
    INSERT INTO disclosures_silence
    SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid(), 'request_id', r.id))).*
      FROM disclosures_legalrequest r, disclosures_silence s
     WHERE s.request_id = %(model)s AND r.id <> %(model)s AND r.reference LIKE '%%0'
"""


def make_requests(
    owner: psycopg.Connection[Any], count: int, accounts: Iterable[Account], staff: Iterable[UUID]
) -> LegalRequest:
    """Fill the register with `count` copies of a request that seeks `accounts` under silence, and return that one."""
    model = legal.make_request(*accounts)
    legal.silence(model)
    given = {"count": count, "model": model.pk, "staff": list(staff)}
    for table in TABLES:
        owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for statement in (REQUESTS, SOUGHT, SILENCE):
        owner.execute(statement, given)
    for table, guard in TABLES.items():
        owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        owner.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {guard}")
        owner.execute(f"VACUUM ANALYZE {table}")
    return model
