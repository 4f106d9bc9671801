"""The guards of files that customers send about notices of abuse, in plain SQL beside this file."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """Triggers, functions and grants."""

    dependencies = [("disclosures", "0010_files_of_notices")]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
