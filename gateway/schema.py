"""OpenAPI entries made from the structs that decode bodies and encode answers.

A component is named by its class while that name is unique, else by module and class. Names are final only once all
views are imported, so `described` refers to shapes by module and class, and `add_components` replaces these references.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

PROBLEM_STATUSES = (401, 403, 404, 422, 429, 503)
BODY_PROBLEM_STATUSES = (400, 409, 413)
REFERENCE = "#/components/schemas/{name}"
_shapes: set[type[msgspec.Struct]] = set()


class Problem(msgspec.Struct, omit_defaults=True):
    """A refusal as a problem document (RFC 9457); `code` is one of protocol 2.6."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: dict[str, list[str]] | None = None


def described(
    *,
    takes: type[msgspec.Struct] | None = None,
    answers: type[msgspec.Struct] | None = None,
    status: int = 200,
    again: int | None = None,
    pending: type[msgspec.Struct] | None = None,
    refuses: Sequence[int] = (),
    query: Mapping[str, type] | None = None,
) -> Callable[[Any], Any]:
    """Describe the method of a view for the OpenAPI document: its body, its answer, and the types of its query.

    `again` is the status of the same answer if the request was answered before; `pending` is the answer of 202;
    `refuses` are the statuses of problems besides the usual ones.
    """
    _shapes.update(shape for shape in (takes, answers, pending) if shape)
    reply = _reference(answers) if answers else OpenApiResponse(description="done")
    replies: dict[Any, Any] = {code: reply for code in (status, again) if code}
    replies |= {202: _reference(pending)} if pending else {}
    problems = PROBLEM_STATUSES + (BODY_PROBLEM_STATUSES if takes else ()) + tuple(refuses)
    replies |= {(code, "application/problem+json"): _reference(Problem) for code in problems}
    parameters = [OpenApiParameter(name, type_) for name, type_ in (query or {}).items()]
    request = {"application/json": _reference(takes)} if takes else None
    return extend_schema(request=request, responses=replies, parameters=parameters)


def add_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Return the document with the schemas of all shapes, and their references resolved. drf-spectacular's hook."""
    shapes: list[type[msgspec.Struct]] = sorted([*_shapes - {Problem}, Problem], key=_order)
    references, schemas = msgspec.json.schema_components(shapes, ref_template=REFERENCE)
    names = {_reference(shape)["$ref"]: each["$ref"] for shape, each in zip(shapes, references, strict=True)}
    document: dict[str, Any] = _with_references(result, names)
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    return document


def _with_references(node: Any, names: Mapping[str, str]) -> Any:
    """Return a copy of a part of the document, with the `$ref` values replaced."""
    if isinstance(node, dict):
        copy = {key: _with_references(value, names) for key, value in node.items()}
        if isinstance(node.get("$ref"), str):
            copy["$ref"] = names.get(node["$ref"], node["$ref"])
        return copy
    return [_with_references(each, names) for each in node] if isinstance(node, list) else node


def _order(shape: type[msgspec.Struct]) -> tuple[str, str]:
    return shape.__name__, shape.__module__


def _full_name(shape: type[msgspec.Struct]) -> str:
    return f"{shape.__module__}.{shape.__qualname__}"


def _reference(shape: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=_full_name(shape))}
