"""bad-input.md over every operation of the API's own description: JSON, numbers, dates, hosts, keys and parameters.

What is asked is found in the description; a new operation is asked the same without a line here. Every answer is a
problem with a status of the table, never an error of the server, and nothing is done.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from accounts import scopes
from accounts.models import Account, User
from accounts.safeguards.models import IdempotencyRecord
from tests.calling import call, calm, own_token, system_token
from tests.test_schema import operations, schema

pytestmark = pytest.mark.django_db

PROBLEM = "application/problem+json"
SCHEMA = schema()
ALL = {operation["operationId"]: (method.upper(), path, operation) for method, path, operation in operations()}
WRITES = {name: found for name, found in ALL.items() if found[0] in {"POST", "PUT", "PATCH", "DELETE"}}
LISTS = {
    name: found for name, found in ALL.items() if any(p["name"] == "cursor" for p in found[2].get("parameters", []))
}
JSON = {
    "no JSON": "{",
    "nothing": "",
    "a name twice": '{"name": "a", "name": "b"}',
    "a name twice, deep": '{"x": {"name": "a", "name": "b"}}',
    "NaN": '{"x": NaN}',
    "infinity": '{"x": Infinity}',
    "a number too large": '{"x": 1e309}',
    "10,000 deep": "[" * 10_000 + "]" * 10_000,
    "no UTF-8": b'{"x": "\xff"}',
    "UTF-16": '{"x": "a"}'.encode("utf-16"),
    "UTF-7 and a mark": b"\xef\xbb\xbf{}",
    "half a character": '{"x": "\\ud800"}',
    "NUL": '{"x": "a\\u0000b"}',
}
NUMBERS = [
    "-1",
    "0",
    str(2**63),
    "1e309",
    "１２",
    "NaN",
    "9" * 400,
    "0x10",
    "1_0",
    "219AEFE1-EEA9-493E-B3D5-2A94DC7028DE",
    "%00",
    "..",
    "a b",
]
VALUES: list[Any] = [
    -1, 2**63, 2**53, 10**25, 1.5, True, None, [], {}, [[]], "", " ", "１２", "x" * 70_000, "4242 4242 4242 4242",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2027-03-14T02:30:00", "2026-06-30T23:59:60Z", "yesterday",
    "a\r\nX: y", "\u202ea", "=1+1", "//evil.example", "javascript:alert(1)", "'; DROP TABLE x; --",
]  # fmt: skip
KEYS = ["", " ", "x" * 256, "é", "a b", "a\tb", "\x7f"]


@pytest.fixture
def tokens(alice: User) -> dict[str, str]:
    """A token of each kind that carries everything its kind can."""
    kinds = {holder: list(scopes.carried_by(holder)) for holder in scopes.Holder}
    return {
        "token": system_token(*kinds[scopes.Holder.SYSTEM]),
        "customer_token": own_token(alice, *kinds[scopes.Holder.CUSTOMER]),
    }


def send(name: str, tokens: dict[str, str], body: Any = None, *, path: str | None = None, **more: Any) -> Any:
    calm()
    method, address, operation = ALL[name]
    (kind,) = operation["security"][0]
    return call(path or usual(address), tokens[kind], method, body, **more)


def usual(address: str) -> str:
    """Return an address with values that are well formed."""
    for parameter, value in (("{number}", "999999999"), ("{category}", "identity")):
        address = address.replace(parameter, value)
    while "{" in address:
        head, _, rest = address.partition("{")
        address = head + str(UUID(int=7)) + rest.partition("}")[2]
    return address


def refused(answer: Any, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.content)
    assert answer["Content-Type"] == PROBLEM and answer.json()["status"] == answer.status_code
    assert not IdempotencyRecord.objects.exists()


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    """Return a body made from the description alone; nothing for a write that its address says all of."""
    if "requestBody" not in operation:
        return {}
    return example(operation["requestBody"]["content"]["application/json"]["schema"])


def example(shape: dict[str, Any]) -> Any:
    shape = resolved(shape)
    if shape.get("enum"):
        return shape["enum"][0]
    if shape.get("type") == "object":
        return {name: example(each) for name, each in shape.get("properties", {}).items()}
    if shape.get("type") == "array":
        return [example(shape["items"])]
    kinds = {"integer": 5, "number": 5, "boolean": True}
    words = {
        "date-time": "2026-12-22T12:00:00Z",
        "date": "2026-12-22",
        "email": "zora@zanzibara.example",
        "uuid": str(UUID(int=7)),
    }
    return kinds.get(
        shape.get("type", ""),
        words.get(shape.get("format", ""), "US" if "{2}" in shape.get("pattern", "") else "words"),
    )


def resolved(shape: dict[str, Any]) -> dict[str, Any]:
    shape = copy.copy(shape)
    for part in (shape, *shape.pop("allOf", []), *shape.pop("oneOf", [])[:1]):
        if "$ref" in part:
            return resolved({**SCHEMA["components"]["schemas"][part["$ref"].rpartition("/")[2]]})
    return shape


# Operations without fields, or whose fields may all be left out: an empty body is one they take.
NOTHING_NEEDED = {
    name
    for name, found in WRITES.items()
    if "requestBody" not in found[2]
    or not resolved(found[2]["requestBody"]["content"]["application/json"]["schema"]).get("required")
}


def test_few_operations_take_an_empty_body():
    assert {"ask_export", "end_address", "remove_export", "withdraw_consent", "withdraw_request"} == NOTHING_NEEDED


def fields() -> Iterator[tuple[str, str]]:
    for name, (_method, _path, operation) in WRITES.items():
        yield from ((name, field) for field in body_of(operation))


@pytest.mark.parametrize("way", JSON)
@pytest.mark.parametrize("name", WRITES)
def test_what_is_no_strict_json_is_400(tokens: dict[str, str], name: str, way: str):
    if way == "nothing" and name in NOTHING_NEEDED:
        assert send(name, tokens, JSON[way]).status_code in {201, 404}
    else:
        refused(send(name, tokens, JSON[way]), *((400, 422) if way == "nothing" else (400,)))


@pytest.mark.parametrize("name", WRITES)
def test_a_large_body_is_413_and_another_type_415(tokens: dict[str, str], name: str):
    refused(send(name, tokens, '"' + "x" * 70_000 + '"'), 413)
    refused(send(name, tokens, "x=1", content_type="application/x-www-form-urlencoded"), 415)
    refused(send(name, tokens, b"\x00", content_type="multipart/form-data; boundary=x"), 415)


@pytest.mark.parametrize("body", ["[]", '"x"', "1", "null", "{}", "[{}]", "true"])
@pytest.mark.parametrize("name", WRITES)
def test_a_body_of_another_shape_is_422(tokens: dict[str, str], name: str, body: str):
    if body == "{}" and name in NOTHING_NEEDED:
        assert send(name, tokens, body).status_code in {201, 404}
    else:
        refused(send(name, tokens, body), 422)


@pytest.mark.parametrize("name", WRITES)
def test_an_unknown_field_is_400_and_a_name_that_is_none_is_not_repeated(tokens: dict[str, str], name: str):
    body = body_of(WRITES[name][2])
    answer = send(name, tokens, {**body, "mike@example.com": 1, "is_admin": True})

    refused(answer, 400)
    assert set(answer.json()["errors"]) == {"(unreadable)", "is_admin"}


@pytest.mark.parametrize(("name", "field"), list(fields()))
def test_no_value_of_a_field_is_too_odd(tokens: dict[str, str], name: str, field: str):
    body, accounts = body_of(WRITES[name][2]), Account.objects.count()
    for value in VALUES:
        answer = send(name, tokens, {**body, field: value})
        assert answer.status_code < 500, (value, answer.content)
        if answer.status_code >= 400:
            assert answer["Content-Type"] == PROBLEM
            assert answer.status_code in {400, 404, 409, 413, 422}, (value, answer.status_code)
            if isinstance(value, str) and 8 < len(value) < 100:
                assert value not in answer.content.decode()
    # What is odd and yet a text may be a name; nothing else was registered by it.
    assert Account.objects.count() <= accounts + len(VALUES)


@pytest.mark.parametrize("name", WRITES)
def test_a_card_number_is_refused_in_every_text(tokens: dict[str, str], name: str):
    body = body_of(WRITES[name][2])
    for field, value in body.items():
        if isinstance(value, str):
            refused(send(name, tokens, {**body, field: "4242 4242 4242 4242"}), 422)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", WRITES)
def test_a_key_that_is_none_is_400_and_so_is_a_missing_one(tokens: dict[str, str], name: str, key: str):
    answer = send(name, tokens, body_of(WRITES[name][2]), key=key)
    # A value of a field may be refused first: the made-up body names no account.
    refused(answer, 400, 422)
    refused(send(name, tokens, body_of(WRITES[name][2]), key=None), 400, 422)


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("name", [name for name, found in ALL.items() if "{" in found[1]])
def test_an_odd_part_of_an_address_is_404(tokens: dict[str, str], name: str, value: str):
    _method, address, _operation = ALL[name]
    head, _, rest = address.partition("{")
    path = head + value + rest.partition("}")[2]

    refused(send(name, tokens, path=usual(path)), 400, 404)


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=%00",
        "cursor=",
        "limit=0",
        "limit=1e309",
        "limit=１",
        "limit=-1",
        "cursor=%ff",
        "limit=1&limit=2",
    ],
)
@pytest.mark.parametrize("name", LISTS)
def test_an_odd_page_is_400(tokens: dict[str, str], name: str, query: str):
    refused(send(name, tokens, path=f"{usual(LISTS[name][1])}?{query}"), 400)


@pytest.mark.parametrize("query", ["x=%00", "%00=x", "limit=1%00"])
@pytest.mark.parametrize("name", ALL)
def test_a_nul_in_the_address_is_400(tokens: dict[str, str], name: str, query: str):
    refused(send(name, tokens, path=f"{usual(ALL[name][1])}?{query}"), 400)


@pytest.mark.parametrize("name", ALL)
def test_a_foreign_host_is_400_whichever_header_names_it(tokens: dict[str, str], name: str):
    refused(send(name, tokens, HTTP_HOST="evil.example"), 400)
    refused(send(name, tokens, HTTP_X_FORWARDED_HOST="evil.example"), 400)


@pytest.mark.parametrize("name", ALL)
def test_nobody_and_the_other_kind_are_refused(tokens: dict[str, str], name: str):
    method, address, operation = ALL[name]
    (kind,) = operation["security"][0]
    (other,) = {"token", "customer_token"} - {kind}
    calm()
    refused(call(usual(address), None, method, {}), 401)
    refused(call(usual(address), tokens[other], method, {}), 403)


@pytest.mark.parametrize("name", ALL)
def test_the_other_methods_are_405(tokens: dict[str, str], name: str):
    _method, address, operation = ALL[name]
    there = {method.upper() for method in SCHEMA["paths"][address]}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - there:
        calm()
        answer = call(usual(address), tokens[next(iter(operation["security"][0]))], method, {})
        refused(answer, 405)
        assert there <= set(answer["Allow"].split(", "))


def test_the_walk_finds_the_operations():
    """Negative control: a description without operations would pass everything."""
    assert {"open_dispute", "register_account"} <= set(WRITES) and {"read_data"} <= set(LISTS)
    assert len(list(fields())) >= 10 and json.dumps(body_of(WRITES["open_dispute"][2]))
