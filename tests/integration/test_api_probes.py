"""Every route of the API, asked by everybody who may not: nothing tells what is refused from what does not exist.

Run as ``python -m pytest -s tests/integration/test_api_probes.py`` to see the table.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from jobs.tenancy import create_key, create_tenant, revoke_key
from schemas.access import Role
from schemas.ids import new_id
from storage.database import Database
from tests.api_world import BATCHES, CLASSIFY, JSONL, Answer, Api, client, drawn, in_review, serving, texts
from tests.house import House
from web.api.documents import operations

pytestmark = pytest.mark.usefixtures("clean")
_DIFFERENT_EACH_TIME = {"date", "assay-request-id", "ratelimit", "ratelimit-policy"}
"""The rate of the asking key is its own affair; who has none has no such headers."""
_UNKNOWN = "/v1/there-is-no-such-address"


@dataclass(frozen=True)
class Probe:
    """How a route is asked for.

    Attributes:
        roles: that may use it.
        ids: makes what the path names, for the tenant of a client; None: the path names nothing.
        body: what is sent.
    """

    roles: frozenset[Role]
    ids: Callable[["Owner"], dict[str, str]] | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""


@dataclass
class Owner:
    """A tenant whose things others ask for."""

    api: Api
    reviewer: Api
    database: Database
    tenant: str
    house: House


def _job(owner: Owner) -> dict[str, str]:
    return {"job_id": owner.api.submitted()}


def _batch(owner: Owner) -> dict[str, str]:
    return {"batch_id": owner.api.upload(texts(2)).json["batch_id"]}


def _review(owner: Owner) -> dict[str, str]:
    return {"job_id": str(in_review(owner.database, owner.tenant))}


def _held(owner: Owner) -> dict[str, str]:
    ids = _review(owner)
    assert owner.reviewer.post(f"/v1/reviews/{ids['job_id']}/claim").status == 200
    return ids


def _cluster(owner: Owner) -> dict[str, str]:
    job_id = str(in_review(owner.database, owner.tenant))
    (line,) = [one for one in owner.reviewer.get("/v1/reviews").json["reviews"] if one["job_id"] == job_id]
    return {"cluster": line["cluster"]}


def _second(owner: Owner) -> dict[str, str]:
    return {"job_id": str(drawn(owner.database, owner.tenant))}


def _held_second(owner: Owner) -> dict[str, str]:
    ids = _second(owner)
    assert owner.reviewer.post(f"/v1/reviews/second/{ids['job_id']}/claim").status == 200
    return ids


def _webhook(owner: Owner) -> dict[str, str]:
    return {"webhook_id": owner.api.post("/v1/webhooks", WEBHOOK).json["webhook_id"]}


def _delivery(owner: Owner) -> dict[str, str]:
    hook = owner.api.post("/v1/webhooks", WEBHOOK).json["webhook_id"]
    owner.api.delete(f"/v1/jobs/{owner.api.submitted()}")
    (told, *_) = owner.api.get(f"/v1/webhooks/{hook}/deliveries").json["deliveries"]
    return {"webhook_id": hook, "delivery_id": told["delivery_id"]}


WEBHOOK = {"url": "https://hooks.invalid/", "events": ["job.finished", "batch.finished"]}
PRODUCERS = frozenset({Role.PRODUCER})
REVIEWERS = frozenset({Role.REVIEWER})
BOTH = frozenset({Role.PRODUCER, Role.OPERATOR})
PROBES: dict[str, Probe] = {
    "POST /v1/jobs": Probe(PRODUCERS, body=CLASSIFY),
    "GET /v1/jobs": Probe(BOTH),
    "GET /v1/jobs/{job_id}": Probe(BOTH, _job),
    "DELETE /v1/jobs/{job_id}": Probe(BOTH, _job),
    "GET /v1/jobs/{job_id}/events": Probe(BOTH, _job),
    "GET /v1/tasks": Probe(BOTH),
    "POST /v1/batches": Probe(PRODUCERS, body=b'{"text": "x"}\n', headers=JSONL, query=BATCHES.partition("?")[2]),
    "GET /v1/batches": Probe(BOTH),
    "GET /v1/batches/{batch_id}": Probe(BOTH, _batch),
    "GET /v1/batches/{batch_id}/results": Probe(BOTH, _batch),
    "GET /v1/batches/{batch_id}/events": Probe(BOTH, _batch),
    "DELETE /v1/batches/{batch_id}": Probe(BOTH, _batch),
    "POST /v1/batches/{batch_id}/retry": Probe(BOTH, _batch),
    "GET /v1/reviews": Probe(REVIEWERS),
    "POST /v1/reviews/next": Probe(REVIEWERS),
    "GET /v1/reviews/{job_id}": Probe(REVIEWERS, _review),
    "POST /v1/reviews/{job_id}/claim": Probe(REVIEWERS, _review),
    "POST /v1/reviews/{job_id}/renew": Probe(REVIEWERS, _held, body={"fence": 1}),
    "POST /v1/reviews/{job_id}/release": Probe(REVIEWERS, _held, body={}),
    "POST /v1/reviews/{job_id}/decision": Probe(REVIEWERS, _held, body={"decision": "reject"}),
    "POST /v1/reviews/{job_id}/undo": Probe(REVIEWERS, _held),
    "GET /v1/reviews/counts": Probe(REVIEWERS),
    "GET /v1/reviews/held": Probe(REVIEWERS),
    "GET /v1/reviews/clusters": Probe(REVIEWERS),
    "POST /v1/reviews/clusters/{cluster}/accept": Probe(
        REVIEWERS, _cluster, body={"task": "classify", "reason": "refused"}
    ),
    "GET /v1/reviews/second": Probe(REVIEWERS),
    "POST /v1/reviews/second/next": Probe(REVIEWERS),
    "GET /v1/reviews/second/{job_id}": Probe(REVIEWERS, _second),
    "POST /v1/reviews/second/{job_id}/claim": Probe(REVIEWERS, _second),
    "POST /v1/reviews/second/{job_id}/renew": Probe(REVIEWERS, _held_second, body={"fence": 1}),
    "POST /v1/reviews/second/{job_id}/release": Probe(REVIEWERS, _held_second, body={}),
    "POST /v1/reviews/second/{job_id}/decision": Probe(REVIEWERS, _held_second, body={"decision": "reject"}),
    "POST /v1/reviews/second/{job_id}/verdict": Probe(REVIEWERS, _held_second, body={"verdict": "both"}),
    "POST /v1/webhooks": Probe(BOTH, body=WEBHOOK),
    "GET /v1/webhooks": Probe(BOTH),
    "GET /v1/webhooks/{webhook_id}": Probe(BOTH, _webhook),
    "DELETE /v1/webhooks/{webhook_id}": Probe(BOTH, _webhook),
    "POST /v1/webhooks/{webhook_id}/secret": Probe(BOTH, _webhook),
    "GET /v1/webhooks/{webhook_id}/deliveries": Probe(BOTH, _webhook),
    "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": Probe(BOTH, _delivery),
}


@pytest.fixture(scope="module")
def port(house: House) -> Iterator[int]:
    """Of the application."""
    with serving(house) as port:
        yield port


@pytest.fixture
def owner(house: House, database: Database, port: int, tenant: str) -> Owner:
    """Whose things are asked for."""
    reviewer = client(database, port, tenant, Role.REVIEWER)
    return Owner(client(database, port, tenant), reviewer, database, tenant, house)


def routes(port: int) -> list[tuple[str, str]]:
    """Every method and path of the API."""
    return [(method, path) for method, path, _ in operations(Api(port, None).get("/v1/openapi.json").json)]


def ask(api: Api, method: str, path: str, probe: Probe, ids: dict[str, str]) -> Answer:
    """One request as the route wants it."""
    address = path.format(**ids) + (f"?{probe.query}" if probe.query else "")
    return api.ask(method, address, probe.body, probe.headers)


def seen(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """All that tells one answer from another."""
    headers = {name: value for name, value in answer.headers.items() if name not in _DIFFERENT_EACH_TIME}
    return answer.status, headers, answer.body


def ids_of_nobody(path: str) -> dict[str, str]:
    """Ids that nothing has, for every name in the path."""
    names = ("job_id", "batch_id", "webhook_id", "delivery_id")
    return {"cluster": "0" * 64} | {name: str(uuid4()) for name in names if f"{{{name}}}" in path}


def test_no_route_is_left_out(port: int) -> None:
    """A new route must say here who may use it."""
    assert {f"{method} {path}" for method, path in routes(port)} == set(PROBES)


def test_who_may_not_is_told_what_everybody_is_told(port: int, owner: Owner) -> None:
    """No key, a revoked, an expired and an unknown one: one answer, 401. A key of a role that may not use a route: the answer
    of an address that does not exist. Another tenant's key, with ids that are somebody's: the answer to ids of nobody. And
    nothing has changed by it all."""
    database, other = owner.database, f"t{new_id().hex[-12:]}"
    create_tenant(database, other, "another")
    revoked_id, revoked = create_key(database, other, "revoked", Role.PRODUCER.value)
    revoke_key(database, revoked_id)
    expired_id, expired = create_key(database, other, "expired", Role.PRODUCER.value)
    owner.house.run(f"UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = '{expired_id}'")
    keyless = {"no key": None, "revoked": revoked, "expired": expired, "unknown": "assay_" + "x" * 43}
    strangers = {role: client(database, port, other, role) for role in Role}
    table: list[tuple[str, ...]] = []
    for method, path in routes(port):
        probe = PROBES[f"{method} {path}"]
        ids = probe.ids(owner) if probe.ids is not None else {}
        row = [f"{method} {path}"]
        before = state_of(owner)
        unauthenticated = {name: seen(ask(Api(port, key), method, path, probe, ids)) for name, key in keyless.items()}
        assert all(one == seen(Api(port, None).get("/v1/jobs")) for one in unauthenticated.values()), row
        row.append(str({status for status, _, _ in unauthenticated.values()}))
        for role, stranger in strangers.items():
            answer = ask(stranger, method, path, probe, ids)
            if role not in probe.roles:
                assert seen(answer) == seen(stranger.get(_UNKNOWN)), (row, role)
                row.append(f"{answer.status} as unknown")
            elif ids:
                nobodys = ask(stranger, method, path, probe, ids_of_nobody(path))
                assert (answer.status, seen(answer)) == (404, seen(nobodys)), (row, role)
                row.append("404 as nobody's")
            else:
                assert answer.status in {200, 201, 204}, (row, role, answer)
                row.append("own only")
        assert state_of(owner) == before, row
        table.append(tuple(row))
    show(table)


def show(table: list[tuple[str, ...]]) -> None:
    """The table, for whoever reads along."""
    for route, keyless, *cells in table:
        by_role = "  ".join(f"{role.value}: {cell:16}" for role, cell in zip(Role, cells, strict=True))
        sys.stdout.write(f"\n{route:62} keyless: {keyless}  {by_role}")


def test_lists_hold_a_tenants_own_things_only(port: int, owner: Owner) -> None:
    """What another tenant has made appears in none of them."""
    other = f"t{new_id().hex[-12:]}"
    create_tenant(owner.database, other, "another")
    stranger = client(owner.database, port, other)
    made = [*_job(owner).values(), *_batch(owner).values()]
    for method, path in routes(port):
        if method == "GET" and "{" not in path:
            body = stranger.get(path).body.decode()
            assert not [one for one in made if one in body], path


def test_a_key_that_is_revoked_is_out_at_once(port: int, owner: Owner) -> None:
    """The next request is refused."""
    key_id, key = create_key(owner.database, owner.tenant, "short-lived", Role.PRODUCER.value)
    api = Api(port, key)
    assert api.get("/v1/jobs").status == 200
    revoke_key(owner.database, key_id)
    api.get("/v1/jobs").problem(401, "unauthenticated")


def state_of(owner: Owner) -> str:
    """All of the tenant's rows that a stranger might have changed."""
    found = {
        table: owner.house.query(f"SELECT * FROM {table} WHERE tenant_id = %s ORDER BY 1", owner.tenant)
        for table in (
            "jobs",
            "batches",
            "reviews",
            "second_reviews",
            "events",
            "answers",
            "webhooks",
            "webhook_deliveries",
        )
    }
    return json.dumps(found, default=str)
