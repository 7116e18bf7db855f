"""What reviews and second reviews have in common over HTTP: a claim with its fence, an answer of one's own, refusals."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from fastapi.responses import Response
from pydantic import Field, StrictBool, StrictInt, StrictStr

from jobs.review_queue import BadCursor
from jobs.review_refusals import ClaimLost, DecisionRefused
from schemas.access import Principal
from schemas.base import Contract
from schemas.desk import Lease, Released
from schemas.review import SKIP_SECONDS
from web.api import review_examples as examples
from web.api.described import described
from web.api.parameters import JobId, parameter, tenant_of
from web.api.refusals import as_problems
from web.bodies import JsonBody, invalid, read_as
from web.problems import Kind, Problem
from web.replies import reply
from web.site import Site

_HIGHEST = 2**31 - 1
_FENCE = Field(None, ge=0, le=_HIGHEST, description="Of the claim; without it, of the present one.")
NOTE = Field(None, max_length=2000, description="For the audit.")
TAKEN = "Somebody else holds it, or it is decided."


class Claimed(Contract):
    """Something that is done under a claim."""

    fence: StrictInt | None = _FENCE


class Answering(Claimed):
    """An answer of a person's own, or why there is none."""

    output: dict[StrictStr, Any] | None = Field(
        None, description="The answer, for `edit`: held to the task's contract."
    )
    reason: StrictStr | None = Field(None, max_length=500, description="Why the task does not apply.")
    note: StrictStr | None = NOTE


class Renewing(Contract):
    """A claim to hold on to."""

    fence: StrictInt = Field(ge=0, le=_HIGHEST, description="Of the claim.")


class Releasing(Claimed):
    """A claim to give back."""

    skip: StrictBool = Field(True, description="For half an hour it is not the next one for this key again.")


RENEWS = described(
    "Until when the claim holds.", Lease, examples.LEASE, Kind.STATE_CONFLICT, body=(Renewing, examples.RENEWING)
)
RELEASES = described(
    "It waits again.", Released, examples.RELEASED, Kind.STATE_CONFLICT, body=(Releasing, examples.RELEASING)
)
"""What the routes that do :func:`renewed` and :func:`released` declare."""


@contextmanager
def refusals_as_problems() -> Iterator[None]:
    """Whatever the use cases of people refuse inside ends the request with its problem document.

    Raises:
        Problem: something was refused.
    """
    with as_problems():
        try:
            yield
        except BadCursor:
            raise parameter("after", "is no cursor of this list; pass on the `next` of a page as it stands") from None
        except ClaimLost as refusal:
            raise Problem(Kind.STATE_CONFLICT, f"{refusal}.") from None
        except DecisionRefused as refusal:
            raise invalid([(one.path, one.message) for one in refusal.errors]) from None


def lease_seconds(site: Site) -> float:
    """How long a claim holds."""
    return site.settings.review_lease_seconds


def renewed(site: Site, reviewer: Principal, job_id: JobId, body: JsonBody, renew: Callable[..., datetime]) -> Response:
    """Answer a request to hold a claim for longer.

    Args:
        renew: of the kind of review that it is.
    """
    asked = read_as(Renewing, body)
    with refusals_as_problems():
        until = renew(site.database, tenant_of(reviewer), job_id, reviewer.name, asked.fence, lease_seconds(site))
    return reply(Lease(job_id=job_id, fence=asked.fence, lease_until=until))


def released(site: Site, reviewer: Principal, job_id: JobId, body: JsonBody, release: Callable[..., None]) -> Response:
    """Answer a request to give a claim back, undecided.

    Args:
        release: of the kind of review that it is.
    """
    asked = read_as(Releasing, body)
    skip_seconds = SKIP_SECONDS if asked.skip else 0
    with refusals_as_problems():
        release(site.database, tenant_of(reviewer), job_id, reviewer.name, fence=asked.fence, skip_seconds=skip_seconds)
    return reply(Released(job_id=job_id, reviewer=reviewer.name))
