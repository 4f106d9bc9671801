"""A billing panel's export as tests make it: `row(3, email="…")` is one client, `export(path, rows)` a file of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from django.core.management import call_command

from accounts.panel_rows import COLUMNS

# As FOSSBilling orders them; two of them are not taken.
HEADER = [*COLUMNS[:19], "lang", *COLUMNS[19:], "updated_at"]


def row(number: int, **given: str) -> dict[str, str]:
    """Return a client without a fault; its personal values carry the number, so that they can be searched for."""
    facts = {
        "id": str(number),
        "email": f"client{number}@panel{number}.example",
        "status": "active",
        "type": "company",
        "first_name": f"Firstname{number}",
        "last_name": f"Lastname{number}",
        "phone_cc": "1",
        "phone": "3125550123",
        "company": f"Company{number} Ltd",
        "company_vat": f"VAT-{number}",
        "company_number": f"HRB-{number}",
        "address_1": f"{number} Panel Street",
        "address_2": "Suite 7",
        "city": f"Panelville{number}",
        "state": "IL",
        "postcode": "60601",
        "country": "US",
        "currency": "EUR",
        "billing_email": f"books{number}@panel{number}.example",
        "lang": "en_US",
        "timezone": "America/Chicago",
        "ip": "203.0.113.7",
        "referred_by": f"Partner{number}",
        "notes": f"Note{number} about them",
        "created_at": "2020-02-03 04:05:06",
        "updated_at": "2020-02-03 04:05:06",
    }
    return {**facts, **given}


def text_of(rows: list[dict[str, str]], header: list[str] = HEADER) -> str:
    """Return the rows as the panel writes them."""
    out = io.StringIO()
    writer = csv.DictWriter(out, header, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def export(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write an export and return its path."""
    path.write_text(text_of(rows), newline="")
    return path


def run(path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the command and return (exit code, its JSON without the seconds)."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("import_clients", str(path), "--json", *options, stdout=out, stderr=err)
    except SystemExit as end:
        code = int(end.code or 0)
    said = json.loads(out.getvalue())
    said.pop("seconds")
    return code, said


def refusals(path: Path) -> list[tuple[str, str, str]]:
    """Return the lines of the list of refusals, without its head."""
    with path.with_name(f"{path.stem}.refused.csv").open(newline="") as file:
        return [(line, column, reason) for line, column, reason in list(csv.reader(file))[1:]]
