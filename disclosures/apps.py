"""What leaves the company: consent, legal requests, abuse cases, reviewed disclosures."""

from __future__ import annotations

from django.apps import AppConfig


class DisclosuresConfig(AppConfig):
    """The room between retention, whose holds it places, and the portal."""

    name = "disclosures"
    verbose_name = "Disclosures"

    def ready(self) -> None:
        """Register, in every process, who is asked when a hold ends, a mail was accepted, or a deletion is planned."""
        from disclosures import notifying, preserving  # noqa: F401, PLC0415
