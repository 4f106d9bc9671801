"""Mail that a receiving service hands on over HTTP: with the secret only, whole, and repeats known (P17)."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from disclosures.models import AbuseCase, AbuseReport
from disclosures.models.cases import MOST_RAW_BYTES
from tests.test_reporting import mail

pytestmark = pytest.mark.usefixtures("committed")
DOOR = "/report/mail/"
SECRET = "s" * 40
BEARER = f"Bearer {SECRET}"


@pytest.fixture(autouse=True)
def secret(settings: Any) -> None:
    settings.INBOUND_MAIL_SECRET = SECRET


def send(raw: bytes, authorization: str = BEARER, content_type: str = "message/rfc822") -> Any:
    # As a service calls: no page was shown before, so no token of a form.
    headers = {"authorization": authorization} if authorization else {}
    return Client(enforce_csrf_checks=True).post(DOOR, raw, content_type=content_type, headers=headers)


def send_form(**fields: Any) -> Any:
    return Client(enforce_csrf_checks=True).post(DOOR, fields, headers={"authorization": BEARER})


def test_a_message_is_kept_as_it_came_and_answered_with_its_reference_only():
    answer = send(mail())

    case = AbuseCase.objects.get()
    assert answer.status_code == 202 and answer.json() == {"references": [case.reference]}
    row = AbuseReport.objects.get()
    assert bytes(row.raw) == mail() and row.channel == "mail"


def test_a_message_sent_again_is_a_repeat_in_its_case():
    first, second = send(mail()), send(mail())

    assert first.json() == second.json() and AbuseCase.objects.count() == 1
    assert list(AbuseReport.objects.order_by("pk").values_list("is_repeat", flat=True)) == [False, True]


@pytest.mark.parametrize("field", ["message", "email", "body-mime"])
def test_a_form_brings_the_message_as_a_file_or_as_a_text_byte_for_byte(field: str):
    raw = mail().replace(b"sent spam", b"sent sp\xe4m")

    assert send_form(**{field: SimpleUploadedFile("m.eml", raw)}).status_code == 202
    assert bytes(AbuseReport.objects.get().raw) == raw
    body = b'--x\r\nContent-Disposition: form-data; name="' + field.encode() + b'"\r\n\r\n' + raw + b"\r\n--x--\r\n"
    assert send(body, content_type="multipart/form-data; boundary=x").status_code == 202
    assert {bytes(row.raw) for row in AbuseReport.objects.all()} == {raw}


def test_basic_with_the_secret_as_password_opens_the_door():
    assert send(mail(), "Basic " + base64.b64encode(f"mail:{SECRET}".encode()).decode()).status_code == 202


@pytest.mark.parametrize(
    "wrong", ["", "Bearer ", "Bearer wrong", f"Token {SECRET}", "Basic !", "Basic eDp5", "Bearer é"]
)
def test_without_the_secret_nothing_is_taken(wrong: str):
    answer = send(mail(), wrong)

    assert answer.status_code == 401 and answer["WWW-Authenticate"] and "secret" in answer.json()["detail"]
    assert not AbuseCase.objects.exists()


@pytest.mark.parametrize("sent", ["Bearer ", "", BEARER])
def test_a_door_without_a_configured_secret_is_shut(settings: Any, sent: str):
    settings.INBOUND_MAIL_SECRET = ""

    assert send(mail(), sent).status_code == 403 and not AbuseCase.objects.exists()


def test_a_message_over_the_limit_becomes_a_case_for_staff():
    assert send(mail() + b"x" * MOST_RAW_BYTES).status_code == 202
    assert "too_large" in AbuseReport.objects.get().problems


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (
            b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\n\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            400,
        ),
        (mail(), "application/octet-stream", 415),
        (b"nonsense", "multipart/form-data; boundary=x", 400),
        (b"nonsense", "multipart/form-data", 400),
        (
            b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\n' + b"y" * 2_000_000 + b"\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
            413,
        ),
    ],
)
def test_what_is_no_message_is_refused_in_words(body: bytes, content_type: str, status: int):
    answer = send(body, content_type=content_type)

    assert answer.status_code == status and answer.json()["detail"] and not AbuseCase.objects.exists()


def test_nothing_is_taken_by_get():
    assert Client().get(DOOR).status_code == 405
