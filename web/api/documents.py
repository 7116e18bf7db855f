"""``/v1/openapi.json``: the API as OpenAPI 3.1; and ``/v1``, the same for people, without a script."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from web.pages import page
from web.problems import ProblemDocument
from web.replies import Json

router = APIRouter(include_in_schema=False)

PREFIX = "/v1/"
_REFERENCE = "#/components/schemas/"
_METHODS = ("get", "post", "put", "patch", "delete")
_KEPT = "openapi"


@router.get("/v1/openapi.json")
def get_document(request: Request) -> Response:
    """The document. It is no secret: a key is not needed to read it."""
    return Json(document(request.app))


@router.get("/v1")
def get_page(request: Request) -> Response:
    """Every operation with its examples, for people."""
    made = document(request.app)
    return page(
        request, "api/index.html", document=made, operations=list(operations(made)), jsonable=_readable, signed_in=None
    )


def operations(made: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each."""
    for path, item in made["paths"].items():
        for method in _METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def _readable(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2)


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of this application: made once."""
    kept: dict[str, Any] | None = getattr(app.state, _KEPT, None)
    if kept is None:
        kept = _made(app)
        setattr(app.state, _KEPT, kept)
    return kept


def _made(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    made["paths"] = {path: item for path, item in made["paths"].items() if path.startswith(PREFIX)}
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    problem = ProblemDocument.model_json_schema(ref_template=_REFERENCE + "{model}")
    schemas["ProblemDocument"] = _hoisted(problem, schemas)
    for _, _, operation in operations(made):
        _complete(operation, schemas)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return made


def _complete(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Definitions of bodies stand with the others; and FastAPI's own shape of errors is none of ours."""
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    for answer in responses.values():
        # FastAPI says "string"; who reads events checks each one by it, and they are none.
        answer.get("content", {}).get("text/event-stream", {}).pop("schema", None)
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _never_null(parameter["schema"])
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["schema"] = _hoisted(content["schema"], schemas)


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or is not; there is no way to send null."""
    others = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    if len(others) != 1:
        return schema
    return {**others[0], **{name: value for name, value in schema.items() if name not in {"anyOf", "title"}}}


def _hoisted(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """A schema whose definitions have moved to the components."""
    definitions = schema.get("$defs", {})
    for name, definition in definitions.items():
        schemas.setdefault(name, definition)
    return {name: value for name, value in schema.items() if name != "$defs"}
