"""Errors as pages where somebody looks at pages, as problem documents where a program asks."""

from collections.abc import Callable
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from web.access import SignInNeeded
from web.pages import page
from web.problems import Problem

PAGES = ("/desk", "/operators", "/signin", "/signout")
"""Addresses that people look at; all others are for programs."""
_SENTENCES = {
    404: ("There is nothing here", "The address is wrong, or it is not for you. If you sent a form: you have signed in anew"
          " since its page was made; go back, reload it and send it again."),
    413: ("That was too much", "The form holds more than can be taken. Shorten it and send it again."),
    429: ("Too many tries", "Wait a minute and try again."),
    503: ("Assay cannot do that right now", "Try again in a few seconds. What you sent was not recorded."),
}  # fmt: skip
_OTHER = ("That did not work", "Assay could not do what was asked. Go back and try again.")


def install(app: FastAPI, to_sign_in: Callable[[SignInNeeded], Response]) -> None:
    """Put pages in front of the problem documents, which must be installed already."""

    def sign_in_needed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, SignInNeeded)
        return to_sign_in(error)

    app.add_exception_handler(SignInNeeded, sign_in_needed)
    for kind in (Problem, RequestValidationError, HTTPException, SQLAlchemyError):
        app.add_exception_handler(kind, _with_pages(app.exception_handlers[kind]))


def _with_pages(before: object) -> Callable[[Request, Exception], Response]:
    """A page for people, and for programs the problem document as before."""

    documents = cast(Callable[[Request, Exception], Response], before)

    def answer(request: Request, error: Exception) -> Response:
        return error_page(request, _status(error)) if is_page(request) else documents(request, error)

    return answer


def is_page(request: Request) -> bool:
    """Whether a person asks for this address."""
    path = request.url.path
    return path == "/" or any(path == one or path.startswith(f"{one}/") for one in PAGES)


def error_page(request: Request, status: int) -> Response:
    """The page of an error; what does not exist and what is not for this person look alike."""
    title, detail = _SENTENCES.get(status, _OTHER)
    return page(request, "error.html", status_code=status, title=title, detail=detail)


def _status(error: Exception) -> int:
    match error:
        case Problem():
            return error.document.status
        case HTTPException():
            return 404 if error.status_code == 405 else error.status_code
        case RequestValidationError():
            return 404  # an id that is none, or a form without its fields: no page of ours leads there
        case SQLAlchemyError():
            return (
                400 if type(getattr(error, "orig", None)).__name__ in {"DataError", "UntranslatableCharacter"} else 503
            )
        case _:
            return 500
