"""Mutates messages and measures how the readers bear it, in a process of its own.

`python -m tests.mutating COUNT SEED` mutates the own samples, `python -m tests.mutating FOLDER` takes the files of a
folder as they are. Both print one line of JSON: how many messages, the longest CPU time of one, the most memory of the
process, the formats, and each message that broke a reader or a limit, in base64.
"""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from disclosures.reports.reading import read
from disclosures.reports.shape import PROBLEMS, Report

OWN = Path(__file__).parent / "samples_of_reports"
MOST_MEMORY = 256 * 1024 * 1024
MOST_SECONDS = 5.0
WORDS = (
    b"\x00",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\r\n",
    b"\n\n",
    b"--",
    b"=?utf-8?q?=FF?=",
    b"=?x?b?\xff?=",
    b"boundary=",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"&b;",
    b"&",
    b"<![CDATA[",
    b"]]>",
    b"<Login Password='x'>",
    b"<a>" * 60,
    b"[" * 60,
    b'{"a":' * 40,
    b"1e999",
    b"NaN",
    b"9" * 40,
    b"-1",
    b"9999-99-99T99:99:99Z",
    b"0001-01-01T00:00:00+14:00",
    b"::ffff:192.0.2.1",
    b"192.0.2.256",
    b"utf-7",
    b"utf-16",
    b"punycode",
    b"unicode_escape",
    b"\\ud800",
    "İ\u202e\u200bﬁ１２".encode(),
    b"From ",
    b"a" * 3000,
    b"a:b\n" * 200,
    b";a*0*=b" * 50,
    b"http://" + b"%" * 200,
    b"multipart/mixed",
    b"message/rfc822",
    b"base64",
    b"quoted-printable",
)


def samples() -> list[bytes]:
    """Return what is mutated: the own samples, and nothing else, so that a seed says all."""
    return [file.read_bytes() for file in sorted(OWN.iterdir())]


def mutated(raw: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return a message with a few changes of one to many bytes."""
    acts: tuple[Callable[[bytes], bytes], ...] = (
        lambda text: _at(text, chance, lambda _: bytes([chance.randrange(256)]), 1),
        lambda text: _at(text, chance, lambda _: chance.choice(WORDS), 0),
        lambda text: _at(text, chance, lambda _: chance.choice(WORDS), chance.randrange(40)),
        lambda text: _at(text, chance, lambda _: b"", chance.randrange(200)),
        lambda text: _at(text, chance, lambda piece: piece * chance.randrange(2, 30), chance.randrange(1, 300)),
        lambda text: text[: chance.randrange(len(text) + 1)],
        lambda text: _lines(text, chance),
        lambda text: _at(text, chance, lambda _: _piece(chance.choice(others), chance), 0),
        lambda text: text.replace(*chance.choice(SWAPS)),
    )
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        raw = chance.choice(acts)(raw)
    return raw


SWAPS = (
    (b"utf-8", b"utf-16"),
    (b"utf-8", b"utf-7"),
    (b"utf-8", b"x-none"),
    (b"boundary=", b"border="),
    (b"\n", b"\r"),
    (b"base64", b"quoted-printable"),
    (b"=3D", b"="),
    (b"</", b"<"),
    (b'"', b""),
    (b":", b""),
    (b"application/json", b"message/rfc822"),
    (b"text/plain", b"multipart/mixed; boundary=x"),
)


def _at(text: bytes, chance: random.Random, change: Callable[[bytes], bytes], length: int) -> bytes:
    place = chance.randrange(len(text) + 1)
    return text[:place] + change(text[place : place + length]) + text[place + length :]


def _piece(text: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(text))
    return text[place : place + chance.randrange(2000)]


def _lines(text: bytes, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True) or [b""]
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def broken_rules(report: Report) -> Iterator[str]:
    """Yield what a report must never be: of a failed reader, without a reason, or not ready for JSON and a database."""
    if "reader_failed" in report.codes:
        yield "the reader failed"
    if report.format == "unparsed" and not report.problems:
        yield "unparsed without a reason"
    if any(code not in PROBLEMS for code in report.codes):
        yield "a code without words"
    written = json.dumps([report.fields, report.text, repr(report)], ensure_ascii=False, allow_nan=False)
    if "\\u0000" in written or "\x00" in written:
        yield "a NUL"
    written.encode("utf-8")
    if any(source.at is not None and source.at.utcoffset() is None for source in report.sources):
        yield "a time without a zone"


def resident() -> int:
    """Return the most memory this program has had, in bytes; `getrusage` would count its parent's before the start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(messages: Iterator[bytes]) -> dict[str, Any]:
    """Read each message; return how many there were, the longest time, the most memory, formats, and what broke.

    Of the first hundred it is also told what each came to: codes, quarantine, format, message id.
    """
    count, longest, formats, broken = 0, 0.0, Counter[str](), []
    rows: list[list[Any]] = []
    for raw in messages:
        began = time.process_time()
        try:
            report = read(raw)
            taken = time.process_time() - began
            rules = list(broken_rules(report))
        except Exception as error:
            taken, rules = time.process_time() - began, [f"raised {type(error).__name__}"]
        else:
            formats[report.format] += 1
            if count < 100:
                rows.append([sorted(report.codes), report.is_quarantined, report.format, report.mail.message_id])
        count, longest = count + 1, max(longest, taken)
        if taken > MOST_SECONDS:
            rules.append("too slow")
        if rules and len(broken) < 20:
            broken.append([*rules, base64.b64encode(raw[:20_000]).decode()])
    formed = {"count": count, "longest": longest, "memory": resident(), "formats": dict(formats)}
    return {**formed, "broken": broken, "rows": rows}


def main(*arguments: str) -> None:
    if len(arguments) == 1:
        messages = (file.read_bytes() for file in sorted(Path(arguments[0]).iterdir()))
    else:
        chance = random.Random(int(arguments[1]))  # noqa: S311 - a seed makes a failure come again
        given = samples()
        messages = (mutated(chance.choice(given), given, chance) for _ in range(int(arguments[0])))
    print(json.dumps(measure(messages)))


def measured(*arguments: str) -> dict[str, Any]:
    """Return what a process of its own measured."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutating", *arguments],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
