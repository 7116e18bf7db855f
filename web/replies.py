"""Answers as JSON, whatever a document or a model has put into them."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel


class Json(JSONResponse):
    """JSON in ASCII: half a surrogate pair, which no UTF-8 can hold, stays the escape that it came as."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return dump(content)


def reply(value: BaseModel | Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Json:
    """An answer.

    Args:
        value: a model, or what is JSON already.
    """
    content = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return Json(content, status, headers=dict(headers or {}))


def dump(content: Any) -> bytes:
    """JSON as it goes out."""
    return json.dumps(content, separators=(",", ":")).encode("ascii")
