"""The admin's pages of what leaves the company, one module per record; importing them registers them."""

from __future__ import annotations

from disclosures.admin import cases, consents, disclosures, figures, legal_requests, recipients

__all__ = ["cases", "consents", "disclosures", "figures", "legal_requests", "recipients"]
