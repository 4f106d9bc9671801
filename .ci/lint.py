"""`make lint`: every check that runs no test, all of them even when one fails; exit code 1 when any did.

The deployment check runs with production's settings, made up on the spot, and must find nothing.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PACKAGES = ("accounts", "retention", "disclosures", "chicagocloud")
EXPECTED_FINDINGS: set[str] = set()


def production_settings(folder: Path) -> dict[str, str]:
    """Return complete settings of a production that does not exist; nothing is connected to."""
    nowhere = f"?host={folder}"
    return {
        "DJANGO_SETTINGS_MODULE": "chicagocloud.settings",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "BLIND_INDEX_SECRET": secrets.token_hex(32),
        "HEALTH_TOKEN": secrets.token_urlsafe(32),
        "KEK_FILE": str(folder / "kek.json"),
        "DATABASE_URL": f"postgres://portal_runtime@/portal{nowhere}",
        "KEYS_DATABASE_URL": f"postgres://portal_runtime@/portal_keys{nowhere}",
        "REDIS_URL": f"redis+socket://{folder}/redis.sock?virtual_host=0",
        "ALLOWED_HOSTS": "portal.example.com",
        "PORTAL_ORIGIN": "https://portal.example.com",
        "DEFAULT_FROM_EMAIL": "portal@example.com",
        "EMAIL_URL": "smtp+tls://portal:none@mail.example.com:587",
        "CHICAGOCLOUD_TRIAL": "0",
    }


def command(*arguments: str) -> Callable[[dict[str, str]], tuple[bool, str]]:
    """Return a check that passes when the command does."""

    def check(environment: dict[str, str]) -> tuple[bool, str]:
        done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    return check


def deployment(environment: dict[str, str]) -> tuple[bool, str]:
    """Pass when `check --deploy` finds exactly what is expected."""
    _, said = command(sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING")(environment)
    found = set(re.findall(r"\(([a-z_0-9.]+\.[CEWID]\d+)\)", said))
    if found == EXPECTED_FINDINGS:
        return True, ""
    return False, f"{said}\nExpected are {sorted(EXPECTED_FINDINGS)} and nothing else."


CHECKS = {
    "ruff check": command(str(BIN / "ruff"), "check", "."),
    "ruff format": command(str(BIN / "ruff"), "format", "--check", "."),
    "mypy": command(str(BIN / "mypy")),
    "import-linter": command(str(BIN / "lint-imports")),
    "djlint": command(str(BIN / "djlint"), "templates", "--lint"),
    # Comparing models with migration files needs no database; Django warns that it could not ask one.
    "makemigrations": command(
        sys.executable, "-W", "ignore::RuntimeWarning", "manage.py", "makemigrations", "--check", "--dry-run"
    ),
    "check --deploy": deployment,
}


def main() -> int:
    """Run all checks, or those named as arguments; print one line each, and what the failed ones said."""
    chosen = {name: check for name, check in CHECKS.items() if not sys.argv[1:] or name in sys.argv[1:]}
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **production_settings(Path(folder))}
        command(sys.executable, "-m", "accounts.keys.make", environment["KEK_FILE"])(environment)
        for name, check in chosen.items():
            began = time.monotonic()
            passed, said = check(environment)
            print(f"{'ok' if passed else 'FAILED':6}  {name} ({time.monotonic() - began:.1f} s)", flush=True)
            if not passed:
                failed += 1
                print(said, flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
