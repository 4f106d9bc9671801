"""`make lock`: both lock files anew from pyproject.toml, for every supported Python and platform, hashes
included.

The files hold names, versions and hashes; the registry's address stays in the settings of whoever runs
this.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"requirements.lock": ["embedded"], "requirements-dev.lock": ["embedded", "dev"]}
OPTIONS = ["--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]


def main() -> None:
    """Install uv into an environment that is thrown away, and let it resolve."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        binaries = Path(folder) / "bin"
        subprocess.run([binaries / "pip", "install", "--quiet", "uv"], check=True)
        for name, extras in LOCKS.items():
            chosen = [option for extra in extras for option in ("--extra", extra)]
            arguments = ["pip", "compile", *OPTIONS, *chosen, "pyproject.toml", "--output-file", name]
            subprocess.run([binaries / "uv", *arguments, *sys.argv[1:]], cwd=ROOT, check=True)
            print(f"{name}: {(ROOT / name).read_text().count('==')} packages")


if __name__ == "__main__":
    main()
