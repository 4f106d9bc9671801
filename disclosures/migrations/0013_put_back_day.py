"""Tighter guards of notices: days, grounds and people, in plain SQL beside this file."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """Functions, and a trigger."""

    dependencies = [("disclosures", "0012_deliveries_end")]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
