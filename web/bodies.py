"""Bodies of requests: their size, their type, and the models that they are held to.

FastAPI's own ``max_body_size`` answers in plain text, which is neither a page nor a problem document; so all sizes are kept here.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.jsonl import no_number
from tasks.spec import field_errors
from web.problems import FieldError, Kind, Problem

MIB = 1024 * 1024
MOST_BYTES = 4 * MIB
"""Of a body, where nothing else is said: forms with an answer of 500 rows and their quotes, decisions of reviewers."""
FORM_BYTES = 16 * 1024
"""Of the forms that anybody may send, before it is known who."""
LIMITS = {
    "/v1/jobs": 16 * MIB,  # a document of 1,000,000 characters, all of them escaped, fits
    "/v1/batches": 16 * 1024 * MIB,  # 100,000 documents of 160 KB; it is never held together
    "/signin": FORM_BYTES,
    "/signout": FORM_BYTES,
}
"""Of the routes that take documents, and of those that take next to nothing."""
JSON = "application/json"

Model = TypeVar("Model", bound=BaseModel)


class BodyLimit:
    """Refuses a body that is too large, by its length before it is read and else while it comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = LIMITS.get(scope["path"], MOST_BYTES)
        length = Headers(scope=scope).get("content-length", "")
        is_too_large = length.isascii() and length.isdigit() and int(length) > most
        size = 0

        async def receiving() -> Message:
            nonlocal size
            if is_too_large:
                raise HTTPException(413)
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise HTTPException(413)
            return message

        await self._app(scope, receiving, send)


def check_type(request: Request, *accepted: str) -> None:
    """Refuse a body of another type, and a compressed one: its size says nothing of what it becomes.

    Raises:
        Problem: it is.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent not in accepted:
        raise Problem(Kind.UNSUPPORTED, f"This address takes {' or '.join(accepted)}.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(Kind.UNSUPPORTED, "Compressed bodies are not taken.")


async def _json_body(request: Request) -> bytes:
    check_type(request, JSON)
    return await request.body()


JsonBody = Annotated[bytes, Depends(_json_body)]
"""As a parameter of a route, behind who asks: a stranger's body is not read."""


def read_as(model: type[Model], body: bytes) -> Model:
    """The body as a model.

    Raises:
        Problem: it is not JSON, or breaks the model.
    """
    try:
        return model.model_validate(read_json(body))
    except ValidationError as error:
        raise invalid(field_errors(error)) from None


def read_json(text: bytes | str, where: str = "body") -> Any:
    """JSON that somebody sent.

    Raises:
        Problem: it is none; the error says where.
    """
    try:
        return json.loads(text.decode("utf-8") if isinstance(text, bytes) else text, parse_constant=no_number)
    except UnicodeDecodeError as error:
        detail = f"is not UTF-8 (byte {error.start + 1})"
    except (ValueError, RecursionError) as error:
        at = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        detail = f"is not JSON{at}"
    raise Problem(Kind.INVALID_REQUEST, f"The {where} {detail}.", errors=[FieldError(path=where, detail=detail)])


def invalid(fields: list[tuple[str, str]], below: str = "") -> Problem:
    """The problem of an input that breaks its contract.

    Args:
        fields: each path with what is wrong there.
        below: the field of the body in which these stand.
    """
    errors = [FieldError(path=".".join(filter(None, (below, path))), detail=detail) for path, detail in fields]
    detail = "; ".join(f"{one.path}: {one.detail}" if one.path else one.detail for one in errors)
    return Problem(Kind.INVALID_INPUT, detail, errors=errors)


def takes(model: type[BaseModel], examples: Mapping[str, tuple[str, object]]) -> dict[str, Any]:
    """``openapi_extra`` of a route that reads its body by :func:`read_as`.

    Args:
        examples: by name: a summary and the body.
    """
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": schema, "examples": shown(examples)}},
        }
    }


def shown(examples: Mapping[str, tuple[str, object]]) -> dict[str, Any]:
    """Examples as OpenAPI writes them."""
    return {name: {"summary": summary, "value": value} for name, (summary, value) in examples.items()}
