"""The house's refusals as problem documents."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.cancel import NotFound
from jobs.contract import KeyConflict, SubmitRefused
from jobs.listing import BadCursor
from tasks import UnknownTask
from web.bodies import invalid
from web.problems import FieldError, Kind, Problem

_OF_LINE = re.compile(r"(line \d+): (.*)", re.DOTALL)


@contextmanager
def as_problems(*, below: str = "") -> Iterator[None]:
    """Whatever a use case refuses inside ends the request with its problem document.

    Args:
        below: the field of the body in which a task's request stands.

    Raises:
        Problem: something was refused.
    """
    try:
        yield
    except NotFound:
        raise Problem(Kind.NOT_FOUND) from None
    except BadCursor as refusal:
        raise Problem(
            Kind.INVALID_REQUEST, f"after: {refusal}.", errors=[FieldError(path="after", detail=str(refusal))]
        ) from None
    except UnknownTask as refusal:
        raise invalid([("task", str(refusal))]) from None
    except KeyConflict as refusal:
        raise Problem(Kind.CONFLICT, str(refusal)) from None
    except SubmitRefused as refusal:
        raise _refused(refusal, below) from None


def _refused(refusal: SubmitRefused, below: str) -> Problem:
    if refusal.fields:
        return invalid(refusal.fields, below)
    return invalid([_of_line(reason) for reason in refusal.reasons])


def _of_line(reason: str) -> tuple[str, str]:
    """A reason that begins with the number of a line stands at that line."""
    found = _OF_LINE.match(reason)
    return (found[1], found[2]) if found else ("", reason)
