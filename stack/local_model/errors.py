"""Errors in the shape of the Messages protocol."""

from typing import Any

STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "not_found_error": 404,
    "request_too_large": 413,
    "api_error": 500,
    "overloaded_error": 529,
}


class ProtocolError(Exception):
    """A request that gets an error for an answer.

    Attributes:
        kind: one of ``STATUS``.
        message: for the caller; never repeats the request's text.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.kind]


def error_body(error: ProtocolError, request_id: str) -> dict[str, Any]:
    """The JSON of the error."""
    return {"type": "error", "error": {"type": error.kind, "message": error.message}, "request_id": request_id}
