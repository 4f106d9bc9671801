"""The words of privacy requests stay while a hold covers them, whoever writes; in plain SQL beside this file."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    """The triggers on requests and their messages."""

    dependencies = [("retention", "0005_last_owner")]
    operations = [migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), migrations.RunSQL.noop)]
