"""The guards of the tables that hold accounts in full, in plain SQL beside this file with a frozen list of tables."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """Triggers, functions, grants, and erasures of the new kinds for accounts that are closed already."""

    dependencies = [
        ("retention", "0003_privacy_requests"),
        ("accounts", "0002_accounts_in_full"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
