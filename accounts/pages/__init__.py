"""The ground floor's customer pages, one module per subject; `accounts.urls` names them."""

from __future__ import annotations
