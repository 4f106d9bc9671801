"""The door for services that receive mail and hand each message on over HTTP (P17).

Who may: whoever knows the secret of the environment (INBOUND_MAIL_SECRET), compared in constant time; without one the
door stays shut. The message is taken in as it came, by the act that takes every report: a service that repeats it after
a lost answer makes a repeat in the same case. A message over the limit becomes a case too.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.uploading import takes_files
from disclosures import inbound
from disclosures.models.cases import MOST_RAW_BYTES

# The names under which services send the whole message in a form.
FIELDS = ("message", "email", "body-mime")


class Refused(Exception):
    """A message that is not taken: the status and the words of the answer."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@takes_files
@csrf_exempt
@never_cache
@require_POST
def take_mail(request: HttpRequest) -> JsonResponse:
    """Take one message in and answer 202 with the references of its cases; a refusal says why, in words."""
    try:
        _check_secret(request)
        raw = _message(request)
    except Refused as refused:
        answer = JsonResponse({"detail": refused.detail}, status=refused.status)
        if refused.status == HTTPStatus.UNAUTHORIZED:
            answer["WWW-Authenticate"] = 'Bearer, Basic realm="inbound mail"'
        return answer
    taken = inbound.take(raw)
    return JsonResponse({"references": [one.case.reference for one in taken]}, status=HTTPStatus.ACCEPTED)


def _check_secret(request: HttpRequest) -> None:
    if not settings.INBOUND_MAIL_SECRET:
        raise Refused(HTTPStatus.FORBIDDEN, "Mail is not taken here: no secret is configured (INBOUND_MAIL_SECRET).")
    if not hmac.compare_digest(_sent_secret(request), settings.INBOUND_MAIL_SECRET.encode()):
        raise Refused(HTTPStatus.UNAUTHORIZED, "Send the secret as a bearer token, or as the password of Basic.")


def _sent_secret(request: HttpRequest) -> bytes:
    """Return the secret a request carries, b"" for none: a bearer token, or the password of Basic."""
    scheme, _space, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2] if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return b""


def _message(request: HttpRequest) -> bytes:
    """Return the raw message, one byte over the limit at the most, so that a larger one is known as such."""
    if request.content_type == "message/rfc822":
        raw = request.read(MOST_RAW_BYTES + 1)
    elif request.content_type == "multipart/form-data":
        raw = _field(request)
    else:
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the raw message as message/rfc822, or as a field of a form."
        )
    if not raw:
        raise Refused(HTTPStatus.BAD_REQUEST, f"No message came. Send it as the body, or as the field {FIELDS[0]}.")
    return raw


def _field(request: HttpRequest) -> bytes:
    # Each byte is one character of this charset: a field comes back exactly as it was sent.
    request.encoding = "latin-1"
    try:
        files, texts = request.FILES, request.POST
    except RequestDataTooBig:
        detail = "A field of this size is not read. Send the message as a file, or as message/rfc822."
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail) from None
    except (MultiPartParserError, BadRequest, SuspiciousOperation):
        raise Refused(HTTPStatus.BAD_REQUEST, "The form cannot be read. Send the message as message/rfc822.") from None
    for name in FIELDS:
        if file := files.get(name):
            return bytes(file.read(MOST_RAW_BYTES + 1))
        if text := texts.get(name):
            return str(text).encode("latin-1", "replace")[: MOST_RAW_BYTES + 1]
    return b""
