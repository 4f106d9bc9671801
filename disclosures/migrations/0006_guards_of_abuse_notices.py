"""The guards of abuse notices, in plain SQL beside this file."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """Triggers, functions and grants."""

    dependencies = [("disclosures", "0005_abuse_notices"), ("retention", "0007_held_for_an_answer")]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
