"""Names in the OpenAPI document: two apps may each have a shape of one name."""

from typing import Any

import msgspec
import pytest
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from rest_framework.views import APIView

from gateway import schema
from gateway.schema import described


def shape(name: str, module: str, **fields: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct(name, list(fields.items()), module=module)


def view(answers: type[msgspec.Struct]) -> Any:
    class View(APIView):
        @described(answers=answers)
        def get(self) -> None:
            """Nothing."""

    return View.as_view()


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()


def answered(document: dict[str, Any], route: str) -> dict[str, Any]:
    """Return the schema of a route's answer."""
    content = document["paths"][route]["get"]["responses"]["200"]["content"]
    name = content["application/json"]["schema"]["$ref"].removeprefix("#/components/schemas/")
    component: dict[str, Any] = document["components"]["schemas"][name]
    return component


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The document of three routes: two answer with a `Settings` of their own, the third holds one of these two."""
    monkeypatch.setattr(schema, "_shapes", set())
    first, second = shape("Settings", "first.bodies", quiet=bool), shape("Settings", "second.bodies", colour=str)
    routes = {"first": first, "second": second, "third": shape("Profile", "second.bodies", settings=second)}
    patterns = [path(name, view(answers)) for name, answers in routes.items()]
    generator: Any = SchemaGenerator(patterns=patterns)  # type: ignore[no-untyped-call]
    generated: dict[str, Any] = generator.get_schema(request=None, public=True)
    return generated


def test_shapes_of_equal_names_are_separate_components(document: dict[str, Any]) -> None:
    assert answered(document, "/first")["properties"].keys() == {"quiet"}
    assert answered(document, "/second")["properties"].keys() == {"colour"}
    inner = answered(document, "/third")["properties"]["settings"]
    assert inner == {"$ref": "#/components/schemas/second.bodies.Settings"}


def test_unique_shape_keeps_its_plain_name(document: dict[str, Any]) -> None:
    assert document["components"]["schemas"].keys() == {
        "first.bodies.Settings",
        "second.bodies.Settings",
        "Profile",
        "Problem",
    }


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    names = {name.removeprefix("#/components/schemas/") for name in references(document)}

    assert names == document["components"]["schemas"].keys()
