"""The Celery application.

Messages only ring: PostgreSQL says what is due, claimed and done, so a lost, doubled or delayed message changes
nothing. The schedule is code, not a table: whoever could edit it could move a legal deadline.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chicagocloud.settings")

app = Celery("chicagocloud")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
