"""Who gets what from each route of the web: declared here, written to ``docs/access.md``, and proven by
``tests/integration/test_probes.py``, which asks every route as everybody.

``python -m tests.access_table`` writes the page anew; a test says when it is not current.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path

from schemas.access import Role

PAGE = Path(__file__).parents[1] / "docs" / "access.md"


class Who(Enum):
    """Whoever asks."""

    NOBODY = "nobody"
    PRODUCER_KEY = "producer’s key"
    REVIEWER_KEY = "reviewer’s key"
    OPERATOR_KEY = "operator’s key"
    REVIEWER = "reviewer, signed in"
    OPERATOR = "operator, signed in"

    @property
    def role(self) -> Role | None:
        """As which they may use a route."""
        return _ROLES.get(self)

    @property
    def has_key(self) -> bool:
        """Whether a key is sent; else a session, or nothing that is worth anything."""
        return self in {Who.PRODUCER_KEY, Who.REVIEWER_KEY, Who.OPERATOR_KEY}


_ROLES = {
    Who.PRODUCER_KEY: Role.PRODUCER,
    Who.REVIEWER_KEY: Role.REVIEWER,
    Who.OPERATOR_KEY: Role.OPERATOR,
    Who.REVIEWER: Role.REVIEWER,
    Who.OPERATOR: Role.OPERATOR,
}


class Door(Enum):
    """What a route asks for before it answers."""

    NONE = "nothing"
    KEY = "a key"
    SESSION = "a session"


class Outcome(StrEnum):
    """What somebody gets from a route."""

    ANSWERED = "answered"
    OWN = "own"  # what is their tenant's; an id of another tenant is answered as one that nothing has
    UNKNOWN = "404"  # as an address that does not exist
    KEY_NEEDED = "401"
    SIGN_IN = "sign-in"


@dataclass(frozen=True)
class Place:
    """A route's place in the table.

    Attributes:
        roles: that may use it, where it has a door.
        names: whether the request names a thing that is some tenant's, in its path or its form.
    """

    door: Door
    roles: frozenset[Role] = frozenset()
    names: bool = False

    def outcome(self, who: Who) -> Outcome:
        """What they get."""
        if self.door is Door.NONE:
            return Outcome.ANSWERED
        if who is Who.NOBODY or who.has_key is not (self.door is Door.KEY):
            return Outcome.KEY_NEEDED if self.door is Door.KEY else Outcome.SIGN_IN
        if who.role not in self.roles:
            return Outcome.UNKNOWN
        return Outcome.OWN if self.names else Outcome.ANSWERED


def _key(*roles: Role, names: bool = False) -> Place:
    return Place(Door.KEY, frozenset(roles), names)


def _page(*roles: Role, names: bool = False) -> Place:
    return Place(Door.SESSION, frozenset(roles), names)


_ANYBODY = Place(Door.NONE)
_PRODUCER = _key(Role.PRODUCER)
_BOTH, _BOTH_OWN = _key(Role.PRODUCER, Role.OPERATOR), _key(Role.PRODUCER, Role.OPERATOR, names=True)
_REVIEWS, _REVIEW = _key(Role.REVIEWER), _key(Role.REVIEWER, names=True)
_DESK, _DESK_OWN = _page(Role.REVIEWER), _page(Role.REVIEWER, names=True)
_OPERATORS, _OPERATORS_OWN = _page(Role.OPERATOR), _page(Role.OPERATOR, names=True)
_SIGNED_IN = _page(Role.REVIEWER, Role.OPERATOR)

TABLE: dict[str, Place] = {
    "POST /v1/jobs": _PRODUCER,
    "GET /v1/jobs": _BOTH,
    "GET /v1/jobs/{job_id}": _BOTH_OWN,
    "DELETE /v1/jobs/{job_id}": _BOTH_OWN,
    "GET /v1/jobs/{job_id}/events": _BOTH_OWN,
    "GET /v1/tasks": _BOTH,
    "POST /v1/batches": _PRODUCER,
    "GET /v1/batches": _BOTH,
    "GET /v1/batches/{batch_id}": _BOTH_OWN,
    "GET /v1/batches/{batch_id}/results": _BOTH_OWN,
    "GET /v1/batches/{batch_id}/events": _BOTH_OWN,
    "DELETE /v1/batches/{batch_id}": _BOTH_OWN,
    "POST /v1/batches/{batch_id}/retry": _BOTH_OWN,
    "GET /v1/reviews": _REVIEWS,
    "POST /v1/reviews/next": _REVIEWS,
    "GET /v1/reviews/{job_id}": _REVIEW,
    "POST /v1/reviews/{job_id}/claim": _REVIEW,
    "POST /v1/reviews/{job_id}/renew": _REVIEW,
    "POST /v1/reviews/{job_id}/release": _REVIEW,
    "POST /v1/reviews/{job_id}/decision": _REVIEW,
    "POST /v1/reviews/{job_id}/undo": _REVIEW,
    "GET /v1/reviews/counts": _REVIEWS,
    "GET /v1/reviews/held": _REVIEWS,
    "GET /v1/reviews/clusters": _REVIEWS,
    "POST /v1/reviews/clusters/{cluster}/accept": _REVIEW,
    "GET /v1/reviews/second": _REVIEWS,
    "POST /v1/reviews/second/next": _REVIEWS,
    "GET /v1/reviews/second/{job_id}": _REVIEW,
    "POST /v1/reviews/second/{job_id}/claim": _REVIEW,
    "POST /v1/reviews/second/{job_id}/renew": _REVIEW,
    "POST /v1/reviews/second/{job_id}/release": _REVIEW,
    "POST /v1/reviews/second/{job_id}/decision": _REVIEW,
    "POST /v1/reviews/second/{job_id}/verdict": _REVIEW,
    "POST /v1/webhooks": _BOTH,
    "GET /v1/webhooks": _BOTH,
    "GET /v1/webhooks/{webhook_id}": _BOTH_OWN,
    "DELETE /v1/webhooks/{webhook_id}": _BOTH_OWN,
    "POST /v1/webhooks/{webhook_id}/secret": _BOTH_OWN,
    "GET /v1/webhooks/{webhook_id}/deliveries": _BOTH_OWN,
    "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": _BOTH_OWN,
    "GET /v1": _ANYBODY,
    "GET /v1/openapi.json": _ANYBODY,
    "GET /metrics": _key(Role.OPERATOR),
    "GET /healthz": _ANYBODY,
    "GET /readyz": _ANYBODY,
    "GET /static/{path}": _ANYBODY,
    "GET /signin": _ANYBODY,
    "POST /signin": _ANYBODY,
    "POST /signout": _SIGNED_IN,
    "GET /": _SIGNED_IN,
    "GET /desk": _DESK,
    "POST /desk/next": _DESK,
    "POST /desk/bulk": _DESK_OWN,
    "POST /desk/undo": _DESK_OWN,
    "GET /desk/items/{job_id}": _DESK_OWN,
    "POST /desk/items/{job_id}": _DESK_OWN,
    "POST /desk/items/{job_id}/renew": _DESK_OWN,
    "GET /desk/second": _DESK,
    "POST /desk/second/next": _DESK,
    "GET /desk/second/{job_id}": _DESK_OWN,
    "POST /desk/second/{job_id}": _DESK_OWN,
    "POST /desk/second/{job_id}/renew": _DESK_OWN,
    "GET /desk/agreement": _DESK,
    "GET /operators": _OPERATORS,
    "GET /operators/jobs": _OPERATORS,
    "GET /operators/jobs/{job_id}": _OPERATORS_OWN,
    "GET /operators/alerts": _OPERATORS,
}

_HEAD = """\
# Who gets what

Every route of the web, asked by everybody. This page is written by `python -m tests.access_table` from the table by which
`tests/integration/test_probes.py` asks each route with each credential; a route without a row makes that test fail, and a
test says when this page is not current.

- **answered**: with what is the asker's own tenant's. The operators' pages count and list jobs of all tenants, by their ids
  and without a text of theirs. `/readyz` may answer 503, and the sign-in refuses who is wrong: to everybody alike.
- **own**: things of the asker's own tenant. The id of another tenant's thing gives 404: status, headers and body are those of
  an id that nothing has, and nothing has changed by it.
- **404**: as an address that does not exist, whatever id it names.
- **401**: as without a key. A session is worth nothing here.
- **sign-in**: led to the sign-in. A key is worth nothing here.

*Nobody* is whoever sends no key and no session, and as well an unknown, revoked or expired key and a session that was made up
or has ended: all of these get one answer. Where a path is asked by a method that it does not know, the answer does not depend
on whose id it names.
"""


def document() -> str:
    """The page."""
    rows = [["Route", *(who.value[:1].upper() + who.value[1:] for who in Who)], ["---"] * (len(Who) + 1)]
    rows += [[f"`{route}`", *(place.outcome(who).value for who in Who)] for route, place in TABLE.items()]
    return _HEAD + "\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(document(), encoding="utf-8")
