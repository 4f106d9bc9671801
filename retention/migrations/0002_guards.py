"""The guards, in plain SQL beside this file with a frozen list of tables."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """Triggers, functions, grants and the view of told holds."""

    dependencies = [
        ("retention", "0001_initial"),
        ("accounts", "0001_initial"),
        ("safeguards", "0002_walls"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
