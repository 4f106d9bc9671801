"""Make a key file: `python -m accounts.keys.make PATH`. Keep it out of every backup of the two databases."""

from __future__ import annotations

import sys
from pathlib import Path

from accounts.keys.local import make_key_file

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m accounts.keys.make PATH")
    make_key_file(Path(sys.argv[1]))
