"""Opens one PDF in a process of its own and says one word: fine, encrypted, active, pages or damaged.

Run as a file, never imported by the portal: `python -I reading_pdf.py SECONDS MEMORY PAGES < file`. A file that takes
too long or too much memory ends this process, which the caller reads as damaged.
"""

from __future__ import annotations

import io
import resource
import sys
from typing import Any

# What makes a PDF do something, or carry something besides its pages.
ACTIVE_KEYS = {"/JS", "/JavaScript", "/EmbeddedFiles", "/EmbeddedFile", "/EF", "/XFA", "/RichMediaContent", "/AF"}
ACTIVE_ACTIONS = {"/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/GoToE", "/Rendition", "/RichMediaExecute"}
ACTIVE_KINDS = {"/EmbeddedFile", "/FileAttachment", "/RichMedia", "/Screen", "/Movie", "/Sound", "/3D"}
DEEPEST = 100


def main(seconds: int, memory: int, pages: int) -> str:
    """Return the word for the PDF on the standard input."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    import pikepdf  # noqa: PLC0415 - under the limits, like everything that follows

    try:
        with pikepdf.open(io.BytesIO(sys.stdin.buffer.read()), attempt_recovery=False) as pdf:
            if pdf.is_encrypted:
                return "encrypted"
            if len(pdf.pages) > pages:
                return "pages"
            # The trailer is no object of its own: what stands in it directly is looked at through it.
            if any(is_active(each, DEEPEST) for each in (pdf.trailer, *pdf.objects)):
                return "active"
            return "fine" if len(pdf.pages) else "damaged"
    except pikepdf.PasswordError:
        return "encrypted"
    except (pikepdf.PdfError, ValueError, KeyError, TypeError, IndexError, RuntimeError):
        return "damaged"


def is_active(value: Any, depth: int) -> bool:
    """Return whether an object, looked at down to the next indirect one, does or carries something."""
    import pikepdf  # noqa: PLC0415 - see main

    if isinstance(value, pikepdf.Dictionary | pikepdf.Stream):
        names = {str(name) for name in value.keys()}  # noqa: SIM118 - no plain dictionary
        if names & ACTIVE_KEYS:
            return True
        if str(value.get("/S", "")) in ACTIVE_ACTIONS or str(value.get("/Subtype", "")) in ACTIVE_KINDS:
            return True
        if str(value.get("/Type", "")) in ACTIVE_KINDS:
            return True
        inner = [value[name] for name in names]
    elif isinstance(value, pikepdf.Array):
        inner = list(value)
    else:
        return False
    if depth == 0:
        raise ValueError("nested too deep")
    return any(is_active(each, depth - 1) for each in inner if not _is_elsewhere(each))


def _is_elsewhere(value: Any) -> bool:
    """An indirect object is looked at in its own turn."""
    return bool(getattr(value, "is_indirect", False))


if __name__ == "__main__":
    sys.stdout.write(main(*map(int, sys.argv[1:4])))
