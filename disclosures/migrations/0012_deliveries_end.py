"""What ended after a release gives no file any more, in plain SQL beside this file."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """Triggers, functions and grants."""

    dependencies = [("disclosures", "0011_guards_of_files")]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
