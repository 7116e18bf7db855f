"""What a route declares of itself for the OpenAPI document, in one call."""

from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response
from pydantic import BaseModel

from web.api import examples
from web.api.parameters import ALWAYS, WITH_BODY
from web.bodies import takes
from web.problems import Kind, documented


def described(
    about: str,
    model: type[BaseModel],
    example: object,
    *more: Kind,
    body: tuple[type[BaseModel], Mapping[str, tuple[str, object]]] | None = None,
    or_nothing: str | None = None,
) -> dict[str, Any]:
    """Arguments for the decorator of a route that answers one JSON document.

    Args:
        about: what the answer is.
        more: problems that it may answer beside those of any request with a key.
        body: the model of the body that it takes, and examples of it.
        or_nothing: when it answers 204 instead.
    """
    problems = documented(*(WITH_BODY if body is not None else ALWAYS), *more)
    nothing = {} if or_nothing is None else {204: {"description": or_nothing}}
    return {
        "response_class": Response,
        "responses": {**problems, **examples.answers(200, about, model, example), **nothing},
        **({} if body is None else {"openapi_extra": takes(*body)}),
    }
