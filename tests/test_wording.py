"""The words of pages and mails: none that blame, buttons that act, mails whole, no word untranslatable."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string
from django.utils import timezone

from disclosures import replying
from disclosures.notice_mails import Step
from retention import schedule

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"
PAGES = sorted(TEMPLATES.rglob("*.html"))
MAILS = sorted(TEMPLATES.glob("*/mail/*.txt"))
ALL = sorted([*PAGES, *TEMPLATES.rglob("*.txt")])
ROOMS = ("accounts", "retention", "disclosures", "chicagocloud")
CODE = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py") if "migrations" not in file.parts)
# What a customer never reads: staff's screens and the limits of what they type, the operator's commands.
STAFFS = {
    "admin.py",
    "admin_base.py",
    "adminsite.py",
    "work.py",
    "run.py",
    "bootstrap.py",
    "embedded.py",
    "demo.py",
    "dates.py",
}

BANNED = re.compile(r"\b(please|invalid|oops|irreversible|forbidden|illegal)\b", re.IGNORECASE)
VERBS = {
    "Add", "Answer", "Approve", "Ask", "Assign", "Call", "Cancel", "Change", "Check", "Choose",
    "Close", "Confirm", "Continue", "Delete", "Download", "End", "Export", "Find", "Get", "Give",
    "Go", "Keep", "Make", "Mark", "Open", "Pause", "Pay", "Place", "Preview", "Read", "Record", "Refuse",
    "Release", "Remove", "Reply", "Request", "Retry", "Return", "Save", "Search", "See", "Send",
    "Set", "Show", "Sign", "Stay", "Tell", "Try", "Withdraw", "Write",
}  # fmt: skip
LAW = "The law can require us to keep or hand over more than this page shows, and can forbid us to say so."
LONGEST_SENTENCE = 20
# A number of days, months or years stands in the schedule; a text that repeats it is false once it is overridden.
SPAN = re.compile(
    r"\b(\d+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fourteen|thirty|sixty|ninety)[ -]"
    r"((?:business|calendar|working)[ -])?(day|week|month|year)s?\b",
    re.IGNORECASE,
)
GETTEXT = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}

COMMENTS = re.compile(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}|<!--.*?-->", re.DOTALL)
BLOCKS = re.compile(r"\{% blocktrans(?:late)?\b.*?%\}(.*?)\{% endblocktrans(?:late)? %\}", re.DOTALL)
SHORT = re.compile(r"""\{% trans(?:late)? (?:"([^"]*)"|'([^']*)')[^%]*%\}""")
TAGS = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
ELEMENTS = re.compile(r"<[^>]*>")
BUTTONS = re.compile(r"<button\b[^>]*>(.*?)</button>|<a class=\"btn\b[^>]*>(.*?)</a>", re.DOTALL)
ATTRIBUTES = re.compile(r"\b(?:alt|aria-label|title|placeholder|data-label|data-news)=(\"[^\"]*\"|'[^']*')")
UNTRANSLATED_NAMES = {"ChicagoCloud"}


def source(path: Path) -> str:
    """Return a template without its comments."""
    return COMMENTS.sub("", path.read_text())


def strings(text: str) -> list[str]:
    """Return every translatable string: plural forms apart, variables as one word, elements out."""
    blocks = [part for found in BLOCKS.findall(text) for part in re.split(r"\{% plural %\}", found)]
    short = [double or single for double, single in SHORT.findall(BLOCKS.sub("", text))]
    return [" ".join(ELEMENTS.sub("", TAGS.sub("X", part)).split()) for part in blocks + short]


def first_words(text: str) -> list[str]:
    """Return the first word of each form of each label of a button, or of a link that looks like one."""
    labels = [one or other for one, other in BUTTONS.findall(text)]
    return [(string.split() or [""])[0] for label in labels for string in (strings(label) or [ELEMENTS.sub("", label)])]


def untranslatable(text: str) -> list[str]:
    """Return the words a reader sees that no translator would."""
    shown = ELEMENTS.sub(" ", TAGS.sub(" ", SHORT.sub(" ", BLOCKS.sub(" ", text))))
    seen = re.findall(r"[A-Za-z]{2,}", shown.replace("Subject:", ""))
    for value in ATTRIBUTES.findall(text):
        seen += re.findall(r"[A-Za-z]{2,}", TAGS.sub(" ", value))
    return [word for word in re.findall(r"[A-Za-z]{2,}", " ".join(seen)) if word not in UNTRANSLATED_NAMES]


def long_sentences(text: str) -> list[str]:
    """Return sentences of more than twenty words, but for the constant one, which is fixed elsewhere."""
    sentences = [part for string in strings(text) if string != LAW for part in re.split(r"(?<=[.:;?!])\s", string)]
    return [sentence for sentence in sentences if len(sentence.split()) > LONGEST_SENTENCE]


def sentences(code: str) -> list[str]:
    """Return what Python code says to people: texts to translate, errors raised or put on a form, values as "X"."""
    tree = ast.parse(code)
    named = {
        target.id: words(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return [text for spoken in speaking(tree) for text in words(spoken, named)]


def speaking(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what is passed to gettext, to a raised error, to an error's own making, or to a form's `add_error`."""
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node
        if not isinstance(call, ast.Call):
            continue
        called = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if isinstance(node, ast.Raise) or called in {*GETTEXT, "__init__", "add_error"}:
            yield from call.args


def words(node: ast.AST | None, named: dict[str, list[str]] | None = None) -> list[str]:
    """Return the texts an expression can be; the name of a constant of the module is its text."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)]
    if isinstance(node, ast.Name):
        return (named or {}).get(node.id, [])
    if isinstance(node, ast.BinOp):
        return words(node.left, named) + words(node.right, named)
    return words(node.body, named) + words(node.orelse, named) if isinstance(node, ast.IfExp) else []


def name(path: Path) -> str:
    return str(path.relative_to(TEMPLATES if TEMPLATES in path.parents else ROOT))


def test_there_is_something_to_read():
    assert len(PAGES) > 30
    assert len(MAILS) >= 7


@pytest.mark.parametrize("path", ALL, ids=name)
def test_no_banned_word(path):
    assert BANNED.findall(source(path)) == []


@pytest.mark.parametrize("path", CODE, ids=name)
def test_no_banned_word_in_what_code_says(path):
    assert [text for text in sentences(path.read_text()) if BANNED.search(text)] == []


@pytest.mark.parametrize("path", ALL, ids=name)
def test_a_span_of_time_comes_from_the_schedule(path):
    assert SPAN.findall(source(path)) == []


@pytest.mark.parametrize("path", [path for path in CODE if path.name not in STAFFS], ids=name)
def test_a_span_of_time_in_code_comes_from_the_schedule(path):
    assert [text for text in sentences(path.read_text()) if SPAN.search(text)] == []


def test_the_checks_of_code_catch_what_they_are_for():
    said = sentences(
        """
TOLD = "Please wait."
raise NotActionable(TOLD)
raise NotActionable(f"Account {number} is invalid.")
form.add_error(None, "Oops.")
super().__init__(f"{x} is illegal" if x else "Forbidden.")
words = _("We keep it for 14 days.") % {}
log.info("please")
"""
    )
    assert [text for text in said if BANNED.search(text)] == [
        "Please wait.", "Account X is invalid.", "Oops.", "X is illegal", "Forbidden.",
    ]  # fmt: skip
    assert [text for text in said if SPAN.search(text)] == ["We keep it for 14 days."]
    assert len([text for path in CODE for text in sentences(path.read_text())]) > 150
    spans = ("90 days", "ten business days", "a 14-day pause", "Twelve months", "1 year")
    assert all(SPAN.search(text) for text in spans)
    assert not any(SPAN.search(text) for text in ("{{ days }} days", "one daylight", "every day", "in 5 minutes"))


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_button_starts_with_a_verb(path):
    assert [word for word in first_words(source(path)) if word not in VERBS] == []


# The staff's screens follow Django's admin and its own translations; a legal text binds in one language, as a whole; a
# letter to an authority is written in the one of its courts.
OWN_LANGUAGE = {TEMPLATES / "admin", TEMPLATES / "legal", TEMPLATES / "disclosures" / "letters"}


@pytest.mark.parametrize("path", [path for path in ALL if not OWN_LANGUAGE & set(path.parents)], ids=name)
def test_every_visible_word_is_translatable(path):
    assert untranslatable(source(path)) == []


@pytest.mark.parametrize("path", [path for path in ALL if TEMPLATES / "admin" not in path.parents], ids=name)
def test_sentences_are_short(path):
    assert long_sentences(source(path)) == []


def test_the_checks_catch_what_they_are_for():
    assert BANNED.findall("<p>Oops! Please try again</p>") == ["Oops", "Please"]
    assert BANNED.findall(LAW) == []
    assert first_words('<button class="btn">{% translate "Submission" %}</button>') == ["Submission"]
    assert first_words('<a class="btn btn-quiet" href="/">OK then</a>') == ["OK"]
    assert untranslatable("<h1>{% translate 'Overview' %} glued</h1>") == ["glued"]
    assert untranslatable('<td data-label="Records">{{ n }}</td>') == ["Records"]
    assert untranslatable("{% blocktranslate %}All of this{% endblocktranslate %}") == []
    assert long_sentences('{% translate "' + "word " * 21 + '" %}') != []


@pytest.mark.parametrize("shown", ["delete_start", "delete_check", "delete_status", "delete_cancel", "closed"])
def test_the_constant_sentence_stands_for_everyone(shown):
    text = source(TEMPLATES / "retention" / f"{shown}.html")

    before, found, _ = text.partition('{% include "partials/law.html" %}')
    assert found
    # Outside every condition: as many are closed before it as were opened.
    assert len(re.findall(r"\{% (?:if|for)\b", before)) == len(re.findall(r"\{% end(?:if|for) %\}", before))
    assert LAW in source(TEMPLATES / "partials" / "law.html")


def test_an_unfinished_deletion_reads_as_it_must():
    exactly = (
        "Your deletion is not finished. Some data stays for now. "
        "We look at this at least every X days and write to you when it is finished."
    )
    assert exactly in strings(source(TEMPLATES / "retention" / "delete_status.html"))
    assert exactly in strings(source(TEMPLATES / "retention" / "mail" / "not_finished.txt"))


NOON = datetime(2026, 12, 22, 18, 0, tzinfo=UTC)
SAMPLE = {
    "reference": "DEL-7F3K-22",
    "code": "7KQM-22XP",
    "origin": "https://portal.example.com",
    "contact_email": "privacy@chicagocloud.example",
    "days": 7,
    "rows": 18204,
    "kept": [SimpleNamespace(label="Invoices", until=date(2033, 12, 31))],
    "cancel_path": "/delete/DEL-7F3K-22/cancel/",
    "status_path": "/delete/DEL-7F3K-22/",
    "find_path": "/delete/find/",
    "tokens_path": "/settings/tokens/",
    "password_path": "/password/change/",
    "reset_path": "/accounts/password/reset/",
    "page_path": "/email/0198c000/",
    "stop_path": "/email/0198c000/stop/",
    "join_url": "https://portal.example.com/join/abc/",
    "role": "Technical",
    "reset_url": "https://portal.example.com/accounts/password/reset/key/1-a/",
    "sessions_path": "/settings/sessions/",
    "settings_path": "/settings/",
    "device": "Firefox on Windows",
    "change": "app_added",
    "changed": ["time_zone", "theme"],
}
for moment in (
    "requested",
    "due",
    "finished",
    "cancelled",
    "asked",
    "ends",
    "changed",
    "answered",
    "begins",
    "signed_in",
    "opened",
    "reopened",
    "made",
):
    SAMPLE[f"{moment}_at"] = NOON
SAMPLE["answer_by"] = NOON
SAMPLE |= {
    "received_at": NOON,
    "told_at": NOON,
    "release_from": NOON,
    "act_by": NOON,
    "put_back_on": NOON.date(),
    "at": NOON,
    "page": "https://portal.example.com/admin/",
}
# What stands in the mails of orders and invoices.
SAMPLE |= {"cents": 1290, "currency": "USD", "invoice": "INV-7F3K-22"}
SAMPLE |= {f"{moment}_at": NOON for moment in ("issued", "paid", "placed")}
SAMPLE["reason"] = "We need it to answer the customer"
SAMPLE["words"] = "They asked why the import stops after the first file, and the plan may say."


# By when something happens, or that nothing does.
NEXT = re.compile(r"\b(([Ff]rom|[Bb]y) \d{1,2} \w+ \d{4}|at least every \d+ days|need do nothing|now or later)\b")


def missing_parts(text: str) -> list[str]:
    """Return which of the parts that every mail must have are not in `text`."""
    subject, _, body = text.partition("\n")
    parts = {
        "subject": subject.startswith("Subject: ") and len(subject) > len("Subject: "),
        "reference": SAMPLE["reference"] in body,
        "when, with its place": "22 December 2026, 12:00 (Chicago)" in body,
        "what you can do now": "https://portal.example.com/" in body,
        "what happens next": NEXT.search(body),
        "if this was not you": "If this was not you" in body,
        "a person to write to": SAMPLE["contact_email"] in body,
        "at most 120 words": len(text.split()) <= 120,
    }
    return [part for part, there in parts.items() if not there]


@pytest.mark.parametrize("path", MAILS, ids=name)
def test_every_mail_has_its_parts_and_is_short(path):
    with timezone.override("America/Chicago"):
        text = render_to_string(name(path), SAMPLE)

    assert missing_parts(text.lstrip()) == []
    assert "<" not in text
    assert "&" not in text


@pytest.mark.parametrize("path", MAILS, ids=name)
def test_a_subject_names_no_person(path):
    subject = next(line for line in source(path).splitlines() if "Subject:" in line)

    assert set(re.findall(r"\{\{ *(\w+)", subject)) <= {"reference", "days", "until"}


def test_a_mail_without_a_part_or_too_long_is_caught():
    text = (
        "Subject: Something\n\nReference: DEL-7F3K-22\nFrom 22 December 2026, 12:00 (Chicago)\nhttps://portal.example.com/\n"
        "If this was not you, write to privacy@chicagocloud.example"
    )

    assert missing_parts(text) == []
    assert missing_parts(text + " word" * 120) == ["at most 120 words"]
    assert missing_parts(text.replace("(Chicago)", "")) == ["when, with its place"]
    assert missing_parts(text.replace("If this was not you, ", "")) == ["if this was not you"]
    undated = text.replace("From 22", "You asked on 22").replace(
        "DEL-7F3K-22\n", "DEL-7F3K-22, confirmed by password\n"
    )
    assert missing_parts(undated) == ["what happens next"]


@pytest.mark.parametrize(
    ("number", "mail", "said"),
    [
        ("review", "not_finished", "at least every {} days"),
        ("code", "done", "with reference and code for {} months"),
    ],
)
def test_a_mail_names_the_number_that_is_overridden(settings, number, mail, said):
    usual = render_to_string(f"retention/mail/{mail}.txt", SAMPLE)
    settings.SCHEDULE_OVERRIDES = {number: [61, "counsel says so"]}

    assert said.format(schedule.NUMBERS[number].value) in usual
    assert said.format(61) in render_to_string(f"retention/mail/{mail}.txt", SAMPLE)


STEP_MAILS = [
    *(("disclosures/mail/abuse_step.txt", step) for step in Step.values),
    *(
        ("disclosures/mail/counter_complainant.txt", step)
        for step in (Step.FORWARDED, Step.ADVANCED, Step.STOPPED, Step.PUT_BACK)
    ),
    *(("disclosures/mail/report_step.txt", step) for step in replying.Step.values),
]


@pytest.mark.parametrize(("template", "step"), STEP_MAILS)
def test_a_mail_about_each_step_of_a_notice_is_whole(template: str, step: str):
    more = {"step": step, "kind": "dmca", "strikes": 1, "most_strikes": 3, "strike_days": 365}
    with timezone.override("America/Chicago"):
        text = render_to_string(template, SAMPLE | more)
    assert missing_parts(text.lstrip()) == []


def test_each_step_has_words_of_its_own():
    with timezone.override("America/Chicago"):
        texts = {render_to_string("disclosures/mail/abuse_step.txt", SAMPLE | {"step": step}) for step in Step.values}
    assert len(texts) == len(Step.values)


@pytest.mark.parametrize(("step", "more"), [("put_back", {"left": [2]}), ("overruled", {"returns": True})])
def test_a_mail_about_a_part_of_a_notice_is_whole(step: str, more: dict[str, object]):
    test_a_mail_about_each_step_of_a_notice_is_whole("disclosures/mail/abuse_step.txt", step)
    with timezone.override("America/Chicago"):
        text = render_to_string("disclosures/mail/abuse_step.txt", SAMPLE | {"step": step, "kind": "dmca"} | more)
    assert missing_parts(text.lstrip()) == []
