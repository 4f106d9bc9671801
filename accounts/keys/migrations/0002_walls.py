"""The walls of the key store, in plain SQL beside this file."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """Triggers, grants and the one destroying function."""

    dependencies = [("keys", "0001_initial")]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
