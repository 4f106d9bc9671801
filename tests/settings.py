"""The product's settings with test-cost password hashing, for the suite and the processes it starts."""

from __future__ import annotations

from pathlib import Path

from chicagocloud.settings import *  # noqa: F403
from chicagocloud.settings import STATIC_ROOT, STORAGES

PASSWORD_HASHERS = [
    "tests.hashing.CheapArgon2",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
]

# The manifest exists once a test has asked for a real web process; before that, pages are tested without it.
if not (Path(STATIC_ROOT) / "staticfiles.json").is_file():
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
