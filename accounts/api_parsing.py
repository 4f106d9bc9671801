"""What the API reads and how it refuses: strict JSON in, problem details (RFC 9457) out.

A duplicate key, NaN, a number too large, deep nesting, a NUL, bytes that are no UTF-8 or an unknown field
are 400; a body over the limit is 413 before it is parsed. A refusal names fields, never the values that
were sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.parsers import BaseParser
from rest_framework.response import Response
from rest_framework.settings import api_settings

from accounts.errors import NotActionable
from accounts.keys.provider import KeyUnavailable

LARGEST_BODY = 64 * 1024
DEEPEST = 16
LONGEST_NAME = 40
PROBLEM = "application/problem+json"
NO_FIELD = str(api_settings.NON_FIELD_ERRORS_KEY)


class TooLarge(exceptions.APIException):
    """The body is over the limit."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = f"A request body has at most {LARGEST_BODY} bytes."
    default_code = "too_large"


class Unprocessable(exceptions.APIException):
    """The request reads well but cannot be followed as it is."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "unprocessable"


class UnknownFields(exceptions.ValidationError):
    """The body names fields that do not exist; a field that exists with a wrong value is 422 instead."""


class UnreadableParameter(UnknownFields):
    """A parameter of the address has a value that no page or record goes by; named, and never repeated (400)."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__({name: [sentence]})


class Conflict(exceptions.APIException):
    """The state of things does not allow it."""

    status_code = HTTPStatus.CONFLICT
    default_code = "conflict"


class Unavailable(exceptions.APIException):
    """Something the portal needs is away; nothing was done."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The portal cannot do this just now; nothing was done. Try again later."
    default_code = "unavailable"


class StrictJSONParser(BaseParser):
    """Reads one JSON value and refuses what readers disagree about."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value; raise TooLarge or ParseError."""
        raw = stream.read(LARGEST_BODY + 1)
        if len(raw) > LARGEST_BODY:
            raise TooLarge
        try:
            return _checked(json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse))
        except (ValueError, RecursionError):
            raise exceptions.ParseError(
                f"The body is no strict JSON: UTF-8, no name twice, no NaN, at most {DEEPEST} levels deep."
            ) from None


class RefusesUnknownFields(serializers.Serializer[Any]):
    """A serializer for which an unknown field is an error: what is ignored was meant to do something."""

    def is_valid(self, *, raise_exception: bool = False) -> bool:
        """Validate; raise UnknownFields, whatever the caller asked for, naming those that are not known."""
        unknown = sorted(unknown_fields(self, self.initial_data))
        if unknown:
            raise UnknownFields({name: ["This field is not known."] for name in unknown})
        return super().is_valid(raise_exception=raise_exception)


def unknown_fields(form: serializers.BaseSerializer[Any], data: Any) -> set[str]:
    """Return the names in `data` that `form` does not read, in the objects and lists inside it too."""
    if isinstance(form, serializers.ListSerializer):
        items = data if isinstance(data, list) else []
        child: Any = form.child
        return {name for item in items for name in unknown_fields(child, item)}
    if not isinstance(form, serializers.Serializer) or not isinstance(data, Mapping):
        return set()
    known = {name: field for name, field in form.fields.items() if not field.read_only}
    inner = {name: field for name, field in known.items() if isinstance(field, serializers.BaseSerializer)}
    deeper = {each for name, field in inner.items() for each in unknown_fields(field, data.get(name))}
    return {readable_name(name) for name in data if name not in known} | deeper


class Choice(serializers.ChoiceField):
    """One of some words; the refusal does not repeat the word that was sent."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_choice": "This is none of the words allowed here."}


class Whole(serializers.IntegerField):
    """A whole number as JSON writes one: no text, no fraction, no digits of other scripts."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number; raise ValidationError for anything else."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """True or false as JSON writes them: no text, no number."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the value; raise ValidationError for anything else."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Problem(serializers.Serializer[Any]):
    """Problem details (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(required=False)
    errors = serializers.DictField(required=False)  # type: ignore[assignment]


def problem_details(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return an error as problem details; None leaves one that nobody expected to the portal's 500."""
    known = as_api_error(error)
    if known is None:
        return None
    status = HTTPStatus(known.status_code)
    if isinstance(known, exceptions.ValidationError):
        status = status if isinstance(known, UnknownFields) else HTTPStatus.UNPROCESSABLE_ENTITY
        # What concerns no single field stands under one name: `errors` is an object, whatever refused.
        errors = known.detail if isinstance(known.detail, dict) else {NO_FIELD: known.detail}
        content = problem(status, detail="Some fields cannot be taken as they are.", errors=errors)
    else:
        content = problem(status, detail=str(known.detail))
    return Response(content, status=status.value, headers=_headers(known), content_type=PROBLEM)


def problem(status: HTTPStatus, **details: Any) -> dict[str, Any]:
    """Return problem details of a status."""
    return {"type": "about:blank", "title": status.phrase, "status": status.value, **details}


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(error.auth_header)  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(math.ceil(error.wait))  # type: ignore[attr-defined]
    return headers


def as_api_error(error: Exception) -> exceptions.APIException | None:
    """Return a refusal as the API tells it; None for an error that nobody expected."""
    if isinstance(error, NotActionable):
        return Conflict(str(error))
    if isinstance(error, KeyUnavailable):
        return Unavailable()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, DjangoValidationError):
        return exceptions.ValidationError(error.messages)
    return error if isinstance(error, exceptions.APIException) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name stands twice")
    return content


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _checked(value: Any, depth: int = 0) -> Any:
    if depth >= DEEPEST and isinstance(value, dict | list):
        raise ValueError("too deep")
    if isinstance(value, dict):
        for name, item in value.items():
            _checked(name, depth + 1)
            _checked(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _checked(item, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is too large")
    elif isinstance(value, str):
        value.encode()
        if "\x00" in value:
            raise ValueError("a text holds NUL")
    return value


def readable_name(name: Any) -> str:
    """Return a name that was sent as a refusal may repeat it."""
    text = str(name)
    return text if text.isidentifier() and text.isascii() and len(text) <= LONGEST_NAME else "(unreadable)"
