"""Figures without identities: tables for partners, and the half-yearly figures about requests (P13; silence.md, S11).

Both are frozen once made: a figure that is asked for again is the same figure, so that no difference of two answers
says anything about one customer.
"""

from __future__ import annotations

from django.db import models

from accounts.keys.identifiers import uuid7


class AggregateTable(models.Model):
    """The one answer to a declared query about one closed period, small counts suppressed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    query = models.CharField(max_length=40)
    # "2026-Q3": a quarter that has ended.
    period = models.CharField(max_length=10)
    # [{"cells": {...}, "count": 120 | None}]: None is suppressed.
    rows = models.JSONField()
    sha256 = models.CharField(max_length=64)
    made_by = models.UUIDField()
    made_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["query", "period"], name="aggregate_once_per_period")]
        permissions = [("make_aggregate", "Can make a table of figures without identities")]

    def __str__(self) -> str:
        return f"{self.query}-{self.period}"


class TransparencyTable(models.Model):
    """The figures of one half-year as they were published; a later issue says what changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # "2026-H2".
    half_year = models.CharField(max_length=10)
    issue = models.PositiveIntegerField()
    figures = models.JSONField()
    sha256 = models.CharField(max_length=64)
    frozen_by = models.CharField(max_length=60)
    frozen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["half_year", "issue"], name="transparency_issue_once")]
        permissions = [("freeze_transparency", "Can publish the figures of a half-year")]

    def __str__(self) -> str:
        return f"{self.half_year}-{self.issue}"
