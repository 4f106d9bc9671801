"""The key store's tables. The runtime role may insert and read here, nothing else.

Destroying goes through the database function `destroy_keys`, which obeys only a token minted in the main database.
"""

from __future__ import annotations

from django.db import models

from accounts.keys.identifiers import uuid7


class DataKey(models.Model):
    """One key per subject (any UUID) and category. A destroyed key leaves this row as a tombstone."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    subject = models.UUIDField()
    category = models.CharField(max_length=32)
    created_at = models.DateTimeField()
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        # A tombstone keeps the pair from ever being made again.
        constraints = [
            models.UniqueConstraint(fields=["subject", "category"], name="data_key_once_per_subject_category")
        ]

    def __str__(self) -> str:
        return str(self.id)


class KeyWrap(models.Model):
    """The data key, wrapped under one KEK. Rewrapping adds a row; old ones are retired by another role."""

    id = models.UUIDField(primary_key=True, default=uuid7)
    key = models.ForeignKey(DataKey, on_delete=models.PROTECT, related_name="wraps")
    kek = models.CharField(max_length=64)
    wrapped = models.BinaryField()
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.id)


class DestructionSecret(models.Model):
    """The shared secret of the destruction tokens, as HMAC pads. No runtime role can read it, on either side."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    inner_pad = models.BinaryField()
    outer_pad = models.BinaryField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="key_store_secret_is_one_row")]

    def __str__(self) -> str:
        return "destruction secret"
