"""An open account keeps an owner, whoever writes; in plain SQL beside this file."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """The trigger on users."""

    dependencies = [("retention", "0004_guards_of_accounts_in_full")]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
