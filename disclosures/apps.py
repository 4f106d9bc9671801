"""What leaves the company: consent, legal requests, abuse cases, reviewed disclosures."""

from __future__ import annotations

from django.apps import AppConfig


class DisclosuresConfig(AppConfig):
    """The room between retention, whose holds it places, and the portal."""

    name = "disclosures"
    verbose_name = "Disclosures"

    def ready(self) -> None:
        """Let the holds of legal requests be renewed by whatever ends them, in every process."""
        from disclosures import preserving  # noqa: F401, PLC0415
