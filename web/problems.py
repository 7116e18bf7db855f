"""Problem documents (RFC 9457): every error of the API says what was wrong, where, and what to do."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from web.replies import Json

MEDIA_TYPE = "application/problem+json"


class Kind(StrEnum):
    """What went wrong: the last part of a problem's ``type``. Stable: programs may branch on it."""

    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    INVALID_REQUEST = "invalid-request"
    INVALID_INPUT = "invalid-input"
    CONFLICT = "idempotency-conflict"
    STATE_CONFLICT = "state-conflict"
    TIMEOUT = "request-timeout"
    TOO_LARGE = "too-large"
    UNSUPPORTED = "unsupported-media-type"
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


_TITLES: dict[Kind, tuple[int, str, str]] = {
    Kind.UNAUTHENTICATED: (401, "No valid API key", "Send a key in the header Authorization: Bearer assay_..."),
    Kind.NOT_FOUND: (404, "There is no such thing here", "Check the address and that it is of your key's tenant."),
    Kind.METHOD_NOT_ALLOWED: (405, "This address knows no such method", "Use a method that the header Allow names."),
    Kind.INVALID_REQUEST: (400, "The request is not well formed", "Correct what the errors name and send it again."),
    Kind.INVALID_INPUT: (422, "The input breaks its contract", "Correct what the errors name and send it again."),
    Kind.CONFLICT: (409, "The idempotency key was used for something else", "Use a new key, or send the same input."),
    Kind.STATE_CONFLICT: (409, "Its state does not allow that", "Read it again and decide anew."),
    Kind.TIMEOUT: (408, "The body did not come in time", "Send it again; with its Idempotency-Key it goes on."),
    Kind.TOO_LARGE: (413, "The body is too large", "Split it, or send many documents as a batch."),
    Kind.UNSUPPORTED: (415, "The body is of another type than this address takes", "Set Content-Type as documented."),
    Kind.RATE_LIMITED: (429, "Too many requests", "Wait as long as the header Retry-After says."),
    Kind.UNAVAILABLE: (503, "Assay cannot do that right now", "Send the same request again in a few seconds."),
    Kind.INTERNAL: (500, "Assay has made a mistake", "Report it with the instance; nothing was written twice."),
}


class FieldError(BaseModel):
    """One thing that is wrong.

    Attributes:
        path: where, e.g. ``labels.0`` or ``line 7``; empty where it is the whole.
    """

    path: str = Field(examples=["labels.0"])
    detail: str = Field(examples=["should be at least 1 character long"])


class ProblemDocument(BaseModel):
    """An error, for programs and for people."""

    type: str = Field(examples=["/problems/invalid-input"], description="Stable: programs may branch on it.")
    title: str
    status: int
    detail: str
    what_to_do: str
    errors: list[FieldError] = []
    instance: str | None = Field(default=None, description="The request, as the log names it; for mistakes of ours.")


class Problem(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        kind: Kind,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        instance: str | None = None,
    ) -> None:
        self.kind = kind
        self.errors = list(errors)
        self.headers = dict(headers or {})
        status, title, what_to_do = _TITLES[kind]
        self.document = ProblemDocument(
            type=f"/problems/{kind}",
            title=title,
            status=status,
            detail=detail or f"{title}.",
            what_to_do=what_to_do,
            errors=self.errors,
            instance=instance,
        )
        super().__init__(self.document.detail)

    def response(self) -> Json:
        """As it goes out."""
        return Json(
            self.document.model_dump(mode="json", exclude_none=True),
            status_code=self.document.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def documented(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """These problems as ``responses`` of a route, for the OpenAPI document."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status, title, what_to_do = _TITLES[kind]
        example = Problem(kind).document.model_dump(mode="json", exclude_none=True)
        entry = found.setdefault(
            status,
            {
                "description": title,
                "content": {
                    MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, "examples": {}},
                },
            },
        )
        entry["content"][MEDIA_TYPE]["examples"][str(kind)] = {"summary": what_to_do, "value": example}
    return found


def install(app: FastAPI) -> None:
    """Answer every error of the API with a problem document. Pages have handlers of their own above these."""
    app.add_exception_handler(Problem, lambda _request, error: _of(error).response())
    app.add_exception_handler(RequestValidationError, lambda _request, error: _invalid(error).response())
    app.add_exception_handler(HTTPException, lambda request, error: _http(request, error).response())
    app.add_exception_handler(SQLAlchemyError, _database)
    app.add_exception_handler(Exception, _mistake)  # called by web.headers, which adds what every answer carries


def _mistake(request: Request, _error: Exception) -> Json:
    return Problem(Kind.INTERNAL, instance=request.state.request_id).response()


def _of(error: Exception) -> Problem:
    assert isinstance(error, Problem)
    return error


def _invalid(error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    if any(one["loc"][:1] == ("path",) for one in error.errors()):  # no such id can be anybody's
        return Problem(Kind.NOT_FOUND)
    found = [FieldError(path=_path(one["loc"]), detail=_sentence(one)) for one in error.errors()]
    return Problem(Kind.INVALID_REQUEST, "; ".join(f"{one.path}: {one.detail}" for one in found), errors=found)


def _path(location: Sequence[object]) -> str:
    """Without the part that says where in HTTP it stands, unless that is all there is."""
    return ".".join(str(part) for part in location[1:]) or str(location[0])


def _sentence(error: Mapping[str, Any]) -> str:
    message = str(error.get("msg", "is wrong"))
    return message[:1].lower() + message[1:]


_STATUS_KINDS = {
    401: Kind.UNAUTHENTICATED,
    404: Kind.NOT_FOUND,
    413: Kind.TOO_LARGE,
    415: Kind.UNSUPPORTED,
    429: Kind.RATE_LIMITED,
    503: Kind.UNAVAILABLE,
}


def _http(request: Request, error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return Problem(Kind.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(_allowed(request))})
    kind = _STATUS_KINDS.get(error.status_code, Kind.INVALID_REQUEST if error.status_code < 500 else Kind.INTERNAL)
    return Problem(kind, headers=error.headers)


def _allowed(request: Request) -> list[str]:
    """What this address knows. Each of its methods is a route of its own here, and the one that was tried names only itself."""
    routes = request.app.routes
    asked = [{**request.scope, "method": method} for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")]
    return [scope["method"] for scope in asked if any(route.matches(scope)[0] is Match.FULL for route in routes)]


def _database(_request: Request, error: Exception) -> Json:
    """The database is away, or has refused: its words could repeat a document, so they are not passed on."""
    invalid = getattr(error, "orig", None)
    if type(invalid).__name__ in {"DataError", "UntranslatableCharacter"}:
        return Problem(
            Kind.INVALID_REQUEST, "A value cannot be stored: it holds a character that no text may."
        ).response()
    return Problem(Kind.UNAVAILABLE, "The database does not answer.", headers={"Retry-After": "5"}).response()
