"""The guards of consent, legal requests and disclosures, in plain SQL beside this file."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """Triggers, functions, views and grants."""

    dependencies = [("disclosures", "0001_initial"), ("retention", "0006_held_requests")]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
