"""The OpenAPI document: valid, complete, and true: whatever is thrown at a route, it answers as documented."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import schemathesis
import yaml
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config import schema
from tests.chat.rest import Api
from tests.chat.test_access_rest import routes
from tests.factories import direct, group, say_many, someone
from tests.servers import Server

EXAMPLES = 8
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# What would sign the run itself out.
LEFT_OUT = {"POST auth/logout", "DELETE auth/devices/<id>"}


@pytest.fixture(scope="session")
def document(server: Server) -> dict[str, Any]:
    with urlopen(f"{server.url}/api/schema/") as answer:
        loaded: dict[str, Any] = yaml.safe_load(answer.read())
        return loaded


def test_schema_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate_schema(document)  # type: ignore[no-untyped-call]


def test_openapi_describes_every_route_and_method(document: dict[str, Any]) -> None:
    described = {
        f"{verb.upper()} {_shape(path)}"
        for path, verbs in document["paths"].items()
        for verb in verbs
        if verb != "parameters"
    }

    assert described == set(routes()), "describe each verb of a view with gateway.schema.described"


def test_every_openapi_reference_resolves(document: dict[str, Any]) -> None:
    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*(references(value) for value in node.values()))
        if isinstance(node, list):
            return set().union(*(references(value) for value in node))
        return set()

    names = {reference.removeprefix("#/components/schemas/") for reference in references(document)}

    assert names
    assert names <= document["components"]["schemas"].keys()


def test_api_documentation_pages_open(server: Server) -> None:
    assert Api(server)("GET", "/api/docs/").status == 200


@pytest.fixture(scope="session")
def operations(server: Server) -> dict[str, Any]:
    """The document's operations as schemathesis takes them, by route, for a user with a few chats."""
    person = someone("Fuzzed")
    say_many(person, direct(person, someone()), 3)
    say_many(person, group(person, someone()), 3)
    schema = schemathesis.openapi.from_url(f"{server.url}/api/schema/")
    schema.config.update(headers={"Authorization": f"Bearer {person.access}"})
    found = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    return {f"{operation.method.upper()} {_shape(operation.path)}": operation for operation in found}


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as described", "otherwise"])
@pytest.mark.parametrize("route", sorted(set(routes()) - LEFT_OUT))
def test_any_rest_input_gets_a_documented_answer(operations: dict[str, Any], route: str, mode: GenerationMode) -> None:
    """The number of examples is kept small: the whole of it takes well under a minute."""
    cases = operations[route].as_strategy(generation_mode=mode)

    @given(case=cases)
    @examples(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answered(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    try:
        answered()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "there is nothing that this route could be sent against its description"


def _shape(path: str) -> str:
    parts = path.removeprefix("/api/v1/").split("/")
    return "/".join("<id>" if part.startswith("{") else part for part in parts)


def test_schema_is_made_once_and_not_sent_again_to_a_client_that_has_it(server: Server) -> None:
    with urlopen(f"{server.url}/api/schema/") as answer:
        etag = answer.headers["ETag"]
    with pytest.raises(HTTPError) as unchanged:
        urlopen(Request(f"{server.url}/api/schema/", headers={"If-None-Match": etag}))

    assert unchanged.value.code == 304
    assert schema.document("yaml") is schema.document("yaml")


def test_schema_is_the_same_in_json(server: Server, document: dict[str, Any]) -> None:
    with urlopen(f"{server.url}/api/schema/?format=json") as answer:
        assert "json" in answer.headers["Content-Type"]
        assert json.loads(answer.read()) == document
