"""Invoices as PDF: tagged, the same bytes for the same invoice, data never markup, and letters of every script."""

from __future__ import annotations

import io
import json
from typing import Any

import pikepdf
import pytest
import typst
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import paying, printing
from accounts.invoicing import BilledLine, issue_invoice
from accounts.keys.identifiers import uuid7
from accounts.models import Contact, Invoice, User
from retention import closing, placing
from tests.cast import DAY, owe
from tests.visiting import signed_in, sql

pytestmark = pytest.mark.usefixtures("committed")

INJECTED = [
    '#panic("out")',
    '#read("/etc/passwd")',
    "*bold* _faint_ $x^2$ = heading",
    "<label> @cite `raw` // comment",
    '] #import "@preview/x:1.0.0": * [',
    '\\u{41} "quoted" \\',
    "/* open",
]


def issue(user: User, text: str = "Hosting", name: str = "") -> Invoice:
    if name:
        contact = Contact.objects.get(account_id=user.account_id)
        contact.name = name
        contact.save()
    assert user.account_id is not None
    return issue_invoice(user.account_id, lines=[BilledLine(text, 1290, 2)], by="system")


def opened(content: bytes) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(content))


def is_tagged(content: bytes) -> bool:
    """Whether the file says of itself that it keeps to PDF/UA-1; typst refuses to make one that does not."""
    with opened(content) as pdf, pdf.open_metadata() as about:
        return str(about.get("pdfuaid:part")) == "1" and bool(pdf.Root.MarkInfo.Marked) and "/Lang" in pdf.Root


def test_an_invoice_is_a_tagged_pdf_with_its_number_as_title(alice: User):
    invoice = issue(alice)
    content = printing.invoice_pdf(invoice)

    assert content.startswith(b"%PDF-") and is_tagged(content)
    with opened(content) as pdf, pdf.open_metadata() as about:
        assert about["dc:title"] == f"Invoice {invoice.number}"
        assert len(pdf.pages) == 1
        assert "/JavaScript" not in pdf.Root.get("/Names", {}) and "/OpenAction" not in pdf.Root


def test_the_same_invoice_gives_the_same_bytes(alice: User):
    invoice = issue(alice)
    first = printing.invoice_pdf(Invoice.objects.get(pk=invoice.pk))
    assert printing.invoice_pdf(Invoice.objects.get(pk=invoice.pk)) == first
    paying.pay(invoice.pk, by=alice)
    assert printing.invoice_pdf(Invoice.objects.get(pk=invoice.pk)) != first


def test_all_that_the_page_tells_stands_on_the_paper(alice: User):
    invoice = issue(alice)
    paying.pay(invoice.pk, by=alice)
    invoice.refresh_from_db()
    told = str(printing.contents(invoice))

    for part in (
        invoice.number,
        "Alice Canary",
        "7 Alice Street",
        "Hosting",
        "$12.90",
        "$25.80",
        "Trial payment",
        "Paid",
    ):
        assert part in told
    assert printing.contents(invoice)["balance"] == "Still to pay: $0.00"


@pytest.mark.parametrize("text", INJECTED)
def test_what_looks_like_markup_is_printed_as_it_is(alice: User, text: str):
    invoice = issue(alice, text=text, name=text)

    assert is_tagged(printing.invoice_pdf(invoice))
    plain = typst.query(
        b"#metadata(json(bytes(sys.inputs.invoice)).lines.at(0).at(0)) <it>",
        "<it>",
        field="value",
        one=True,
        sys_inputs={"invoice": json.dumps(printing.contents(invoice))},
    )
    assert json.loads(plain) == text


def test_formatted_into_the_source_it_would_act(alice: User):
    """Negative control: the same text inside the source is carried out, so the test above tests something."""
    with pytest.raises(typst.TypstError, match="panicked"):
        typst.compile(
            printing._template() + INJECTED[0].encode(),
            format="pdf",
            sys_inputs={"invoice": json.dumps(printing.contents(issue(alice)))},
        )


@pytest.mark.parametrize("name", ["Иван Петров", "Żółć Ğüneş", "Νίκος", "Nguyễn Văn A"])
def test_letters_of_the_built_in_fonts_stay_within_the_standard(alice: User, name: str):
    content = printing.invoice_pdf(issue(alice, name=name))
    assert is_tagged(content)
    assert printing._made(printing.contents(Invoice.objects.get()), machine_fonts=False, is_tagged=True) == content


@pytest.mark.parametrize("name", ["王小明", "محمد علي", "山田太郎", "김철수", "👩‍🚀", "שלום"])
def test_letters_that_no_font_has_make_a_file_all_the_same(alice: User, name: str, caplog: pytest.LogCaptureFixture):
    invoice = issue(alice, name=name)
    content = printing.invoice_pdf(invoice)

    with opened(content) as pdf:
        assert len(pdf.pages) == 1
    assert printing.invoice_pdf(invoice) == content
    assert not any(letter in caplog.text for letter in name)


def test_a_file_with_missing_letters_says_so(alice: User, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[bool, bool, str]] = []
    made = printing._made

    def watched(content: dict[str, Any], *, machine_fonts: bool, is_tagged: bool) -> bytes:
        asked.append((machine_fonts, is_tagged, content["note"]))
        return made(content, machine_fonts=False, is_tagged=is_tagged)

    monkeypatch.setattr(printing, "_made", watched)
    printing.invoice_pdf(issue(alice, name="王小明"))

    assert [one[:2] for one in asked] == [(False, True), (True, True), (True, False)]
    assert asked[-1][2].startswith("Some letters are missing on this copy.")


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=300))
def test_any_text_makes_a_file(text: str):
    content = {
        "lang": "en", "fonts": printing.BUILT_IN, "title": "Invoice", "note": "", "from": "ChicagoCloud", "to": [text],
        "facts": [(text, text)], "lines": [(text, "1", "$1", "$1")], "total": "$1", "payments": [text],
        "balance": "", "labels": {
            "from": "From", "to": "To", "items": "Items", "columns": ["A", "B", "C", "D"], "total": "Total",
            "payments": "Payments", "none": "None",
        },
    }  # fmt: skip
    assert printing._made(content, machine_fonts=False, is_tagged=False).startswith(b"%PDF-")


def test_an_invoice_of_a_hundred_lines_goes_over_pages(alice: User):
    lines = [BilledLine(f"Line {number}", 100) for number in range(100)]
    assert alice.account_id is not None
    content = printing.invoice_pdf(issue_invoice(alice.account_id, lines=lines, by="system"))
    with opened(content) as pdf:
        assert len(pdf.pages) > 1
    assert is_tagged(content)


# The door.


def test_the_file_is_a_download_and_nothing_else(alice: User):
    invoice = issue(alice)
    answer = signed_in(alice).get(f"/invoices/{invoice.number}/pdf/")

    assert answer.status_code == 200 and answer.content == printing.invoice_pdf(invoice)
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"] == f'attachment; filename="{invoice.number}.pdf"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_nobody_else_gets_the_file(alice: User, bob: User, sam: User):
    invoice = issue(alice)
    address = f"/invoices/{invoice.number}/pdf/"
    assert signed_in(bob).get(address).status_code == 404
    assert signed_in(sam).get(address).status_code == 403


def test_a_closed_account_still_gets_its_files_held_or_not(alice: User, bob: User):
    pages = []
    for user in (alice, bob):
        invoice = owe(user)
        closing.close(user.account_id, by=user, submission=uuid7(), at=timezone.now() - DAY)
        if user is bob:
            placing.place(bob.account_id, "legal", by="system", matter="m")
        with sql() as statements:
            assert signed_in(user).get(f"/invoices/{invoice.number}/pdf/").status_code == 200
        pages.append(len(statements))
    assert pages[0] == pages[1]


def test_making_a_file_costs_few_statements_and_writes_nothing(alice: User):
    invoice, visitor = issue(alice), signed_in(alice)
    with sql() as statements:
        assert visitor.get(f"/invoices/{invoice.number}/pdf/").status_code == 200
    assert len(statements) <= 12
    assert [one for one in statements if not one.lstrip("( \n").startswith("SELECT")] == []
