"""Mails that were sent, kept for the customer to read; never the address they went to."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from accounts.datamap import Category, Held, Personal, Purpose
from accounts.models.account import OfAccount
from accounts.safeguards.fields import SealedText


class Correspondence(OfAccount):
    """One mail to the customer. `event` names what it told, by ids."""

    event = models.CharField(max_length=120)
    subject = SealedText(max_length=200)
    body = SealedText(max_length=20_000)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    personal: ClassVar[Personal] = Personal(
        category=Category.CORRESPONDENCE,
        label="Mail",
        time="created_at",
        purposes=(Purpose.SERVICES,),
        source="made by us",
        fields={"subject": Held("Subject"), "body": Held("Text")},
        plain={"event": "ids and fixed words"},
    )
