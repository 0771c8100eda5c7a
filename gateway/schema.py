"""OpenAPI entries made from the same structs that decode bodies and encode answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

PROBLEM_STATUSES = (401, 403, 404, 422, 429, 503)
BODY_PROBLEM_STATUSES = (400, 409, 413)
REFERENCE = "#/components/schemas/{name}"
_shapes: set[type[msgspec.Struct]] = set()


class Problem(msgspec.Struct, omit_defaults=True):
    """A refusal as RFC 9457 has it; `code` is one of protocol 2.6."""

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
    refuses: Sequence[int] = (),
    query: Mapping[str, type] | None = None,
) -> Callable[[Any], Any]:
    """Describe a view's method for the OpenAPI document: its body, its answer, its query's names and types.

    `again` is the status of the same answer where a request has been answered before; `refuses` are statuses of
    problems besides the usual ones.
    """
    _shapes.update(shape for shape in (takes, answers) if shape)
    reply = _reference(answers) if answers else OpenApiResponse(description="done")
    replies: dict[Any, Any] = {code: reply for code in (status, again) if code}
    problems = PROBLEM_STATUSES + (BODY_PROBLEM_STATUSES if takes else ()) + tuple(refuses)
    replies |= {(code, "application/problem+json"): _reference(Problem) for code in problems}
    parameters = [OpenApiParameter(name, type_) for name, type_ in (query or {}).items()]
    request = {"application/json": _reference(takes)} if takes else None
    return extend_schema(request=request, responses=replies, parameters=parameters)


def add_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's hook: put the structs' own schemas into the document."""
    shapes: list[type[msgspec.Struct]] = sorted([*_shapes, Problem], key=_name)
    schemas = msgspec.json.schema_components(shapes, ref_template=REFERENCE)[1]
    result.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    return result


def _name(shape: type[msgspec.Struct]) -> str:
    return shape.__name__


def _reference(shape: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=shape.__name__)}
