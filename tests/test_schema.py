"""The API's description: valid, whole, and true of every operation there is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

from accounts import api_answers, scopes
from accounts.api_base import ApiView
from accounts.api_parsing import PROBLEM
from accounts.scopes import Holder

WRITES = {"post", "put", "patch", "delete"}
ALWAYS = {"400", "401", "403", "405", "406", "429", "500", "503"}


def schema() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return json.loads(json.dumps(found, default=str))


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Return (method, path, operation) of every operation."""
    return [(method, path, found) for path, item in schema()["paths"].items() for method, found in item.items()]


def views(resolver: Any = None, path: str = "/") -> list[tuple[str, Any]]:
    """Return (path, view class) of every address below /api/v1/."""
    found: list[tuple[str, Any]] = []
    for entry in (resolver or get_resolver()).url_patterns:
        here = path + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found += views(entry, here)
        elif isinstance(entry, URLPattern) and here.startswith("/api/v1/"):
            found.append((here, entry.callback.view_class))
    return found


def test_the_schema_is_made_without_a_warning(tmp_path: Any):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_every_address_is_described():
    assert len(views()) == len(schema()["paths"]) >= 7


@pytest.mark.parametrize(
    ("method", "path", "operation"), operations(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_operation_says_all_a_caller_must_know(method: str, path: str, operation: dict[str, Any]):
    assert operation["operationId"] and operation["summary"] and operation["description"]
    scope = scopes.SCOPES[operation["x-required-scope"]]
    assert operation["security"] == [{"customer_token" if scope.holder == Holder.CUSTOMER else "token": []}]
    assert f"`{scope.name}`" in operation["description"]
    headers = [each["name"] for each in operation.get("parameters", []) if each["in"] == "header"]
    assert headers == (["Idempotency-Key"] if method in WRITES else [])
    assert set(operation["responses"]) >= (ALWAYS | {"409", "413", "415", "422"} if method in WRITES else ALWAYS)
    for status, answer in operation["responses"].items():
        assert answer["description"] or status < "400"
        if status >= "400":
            assert list(answer["content"]) == [PROBLEM]


def test_every_operation_stands_on_the_common_base():
    assert [path for path, view in views() if not issubclass(view, ApiView)] == []


def test_a_kind_of_token_never_carries_the_others_scopes():
    customers, systems = (set(scopes.carried_by(holder)) for holder in (Holder.CUSTOMER, Holder.SYSTEM))
    assert not customers & systems
    assert customers | systems == set(scopes.SCOPES)


def test_an_operation_that_will_end_is_marked(monkeypatch: pytest.MonkeyPatch):
    import datetime as dt

    assert not any(operation.get("deprecated") for _method, _path, operation in operations())
    ending = api_answers.Ending(dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    monkeypatch.setitem(api_answers.DEPRECATED, ("GET", "api:read_me"), ending)

    assert [op["operationId"] for _m, _p, op in operations() if op.get("deprecated")] == ["read_me"]


@pytest.mark.django_db
def test_the_documentation_is_public_and_cached_by_nobody_elses_rules():
    answer = Client().get("/api/schema/?format=json")
    assert answer.status_code == 200
    assert set(answer.json()["components"]["securitySchemes"]) == {"token", "customer_token"}
