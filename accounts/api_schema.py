"""How the API's documentation says what a caller must send, and what may be answered.

Every operation names the token it wants and its scope, and the answers that any operation can have: they are added
here, so that no view forgets one. Problems are `application/problem+json`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.urls import Resolver404, resolve
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from accounts import scopes
from accounts.api_answers import DEPRECATED
from accounts.api_parsing import PROBLEM

SYSTEM, CUSTOMER = "token", "customer_token"
ALWAYS = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read.",
    HTTPStatus.UNAUTHORIZED: "No live token; it may also be used from a network it is not made for.",
    HTTPStatus.FORBIDDEN: "The token does not carry the scope.",
    HTTPStatus.METHOD_NOT_ALLOWED: "There is no such method; the header Allow names those there are.",
    HTTPStatus.NOT_ACCEPTABLE: "The answer cannot be given in any of the accepted types.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests; the header Retry-After says when to go on.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The portal failed; repeat a write with the same Idempotency-Key.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Something the portal needs is away; nothing was done.",
}
# By status: the fields every such answer has.
HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "The way in: Bearer."},
    HTTPStatus.METHOD_NOT_ALLOWED: {"Allow": "The methods there are."},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "Seconds until the next request is counted anew."},
}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tells the API's documentation how a caller says who it is: two kinds of token, sent alike."""

    target_class = "accounts.api_tokens.TokenAuthentication"
    name = [SYSTEM, CUSTOMER]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        """Return the OpenAPI security schemes."""
        return [
            _scheme("A token of another system, made in the admin and shown once. It begins with ccp_."),
            _scheme("A customer's own token, made under Settings and shown once. It begins with ccu_."),
        ]

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]]:
        """Return the one kind of token that can carry the operation's scope."""
        scope = scopes.SCOPES.get(scopes.of(auto_schema.view, auto_schema.method) or "")
        return {CUSTOMER if scope and scope.holder == scopes.Holder.CUSTOMER else SYSTEM: []}


class Schema(AutoSchema):
    """Describes one operation, with its scope and whether it will end."""

    def get_description(self) -> str:  # type: ignore[override]
        """Return the operation's own words and the scope it needs."""
        scope = scopes.of(self.view, self.method)
        return f"{super().get_description()}\n\nScope: `{scope}`." if scope else super().get_description()

    def get_extensions(self) -> dict[str, Any]:
        """Return the scope for machines: bearer tokens have no scopes in OpenAPI 3.0."""
        scope = scopes.of(self.view, self.method)
        return {"x-required-scope": scope} if scope else {}

    def is_deprecated(self) -> bool:
        """Return whether the operation is in the table of those that will end."""
        return (self.method, _name_of(self.path)) in DEPRECATED


def add_common_answers(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add to every operation what any of them can answer, and give problems their type; a hook of the generator."""
    for path in result["paths"].values():
        for operation in path.values():
            answers = operation["responses"]
            for status, words in ALWAYS.items():
                answers.setdefault(str(status.value), {"description": words})
            for status, answer in answers.items():
                if int(status) >= HTTPStatus.BAD_REQUEST:
                    answer["content"] = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
                    _add_headers(answer, HEADERS.get(HTTPStatus(int(status)), {}))
            operation["responses"] = dict(sorted(answers.items()))
    return result


def _add_headers(answer: dict[str, Any], headers: dict[str, str]) -> None:
    for name, words in headers.items():
        kind = "integer" if name == "Retry-After" else "string"
        answer.setdefault("headers", {})[name] = {"schema": {"type": kind}, "description": words, "required": True}


def _scheme(words: str) -> dict[str, str]:
    return {"type": "http", "scheme": "bearer", "description": words}


def _name_of(path: str) -> str:
    try:
        # A parameter in braces is no value; any word finds the address.
        return resolve(path.replace("{", "").replace("}", "")).view_name
    except Resolver404:
        return ""
