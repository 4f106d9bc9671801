"""Argon2 at the lowest cost: the suite signs in thousands of times."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class CheapArgon2(Argon2PasswordHasher):
    """The same algorithm and format as in production, only cheaper."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1
