"""Which clients of the billing panel were imported: a register that outlives the account, so that none is revived."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import models

from accounts.datamap import Category, Ends, Held, Personal, Purpose
from accounts.datamap.declaring import NOBODY
from accounts.keys.identifiers import uuid7
from accounts.models.account import Account
from accounts.safeguards.fields import SealedText


class ImportedClient(models.Model):
    """One client of a panel: a keyed hash of the panel's id, and what its row was like, sealed with the account's."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    digest = models.BinaryField(max_length=32, unique=True)
    # SHA-256 of the row: says whether a repeated one is unchanged, and ends with the account's key.
    row = SealedText(max_length=64)
    imported_at = models.DateTimeField()

    personal: ClassVar[Personal] = Personal(
        category=Category.IDENTITY,
        label="Imported client",
        time="imported_at",
        purposes=(Purpose.SERVICES,),
        source="your former customer panel",
        fields={"row": Held("Fingerprint of the imported row", shown=NOBODY)},
        plain={"digest": "a keyed hash of the panel's id, one-way"},
        ends=Ends.KEY,
        shown=NOBODY,
    )

    def __str__(self) -> str:
        return str(self.pk)

    def key_place(self) -> tuple[UUID, str]:
        """The fingerprint ends with the account's identity."""
        return self.account_id, Category.IDENTITY.value
