"""How each route of the web is asked so that it would answer: what the request names, made for a tenant, and what it holds."""

from uuid import UUID

from jobs import review_bulk, second_review
from schemas.access import Role
from tests.api_world import BATCHES, CLASSIFY, JSONL, in_review, texts
from tests.desk_world import to_second_review
from tests.probing import TOKEN, Owner, Probe

WEBHOOK = {"url": "https://hooks.invalid/", "events": ["job.finished", "batch.finished"]}


def a_job(owner: Owner) -> dict[str, str]:
    """A job that waits."""
    return {"job_id": owner.api.submitted()}


def an_ended_job(owner: Owner) -> dict[str, str]:
    """One whose stream of events has an end."""
    ids = a_job(owner)
    assert owner.api.delete(f"/v1/jobs/{ids['job_id']}").status == 200
    return ids


def a_batch(owner: Owner) -> dict[str, str]:
    """A batch that waits."""
    return {"batch_id": owner.api.upload(texts(2)).json["batch_id"]}


def an_ended_batch(owner: Owner) -> dict[str, str]:
    """One whose stream of events has an end."""
    ids = a_batch(owner)
    assert owner.api.delete(f"/v1/batches/{ids['batch_id']}").status == 200
    return ids


def a_review(owner: Owner) -> dict[str, str]:
    """A job that waits for a person."""
    return {"job_id": str(in_review(owner.database, owner.tenant))}


def a_held_review(owner: Owner) -> dict[str, str]:
    """One that the tenant's reviewer holds."""
    ids = a_review(owner)
    assert owner.reviewer.post(f"/v1/reviews/{ids['job_id']}/claim").status == 200
    return ids


def a_decided_review(owner: Owner) -> dict[str, str]:
    """One that was decided, which can still be taken back."""
    ids = a_held_review(owner)
    decision = {"decision": "reject", "can_be_undone": True}
    assert owner.reviewer.post(f"/v1/reviews/{ids['job_id']}/decision", decision).status == 200
    return ids


def an_undo(owner: Owner) -> dict[str, str]:
    """The same, as the desk's form names it."""
    return {"tenant": owner.tenant, **a_decided_review(owner)}


def a_cluster(owner: Owner) -> dict[str, str]:
    """Two reviews that one press accepts."""
    for _ in range(2):
        a_review(owner)
    (found,) = review_bulk.clusters(owner.database, [owner.tenant])
    return {"tenant": owner.tenant, "cluster": found.cluster}


def a_second(owner: Owner, second: str | None = None) -> dict[str, str]:
    """A job that waits for a second look, or with a second opinion for a third."""
    evidence = "The parcel had been opened"
    job_id = to_second_review(owner.database, owner.tenant, label="shipping", evidence=evidence, second=second)
    return {"job_id": str(job_id)}


def a_held_second(owner: Owner) -> dict[str, str]:
    """One that the tenant's reviewer holds."""
    return _held(owner, a_second(owner))


def a_held_third(owner: Owner) -> dict[str, str]:
    """One that the tenant's reviewer is to judge."""
    return _held(owner, a_second(owner, second="billing"))


def _held(owner: Owner, ids: dict[str, str]) -> dict[str, str]:
    who, job_id = f"key:a {Role.REVIEWER.value}", UUID(ids["job_id"])
    item = second_review.claim(owner.database, [owner.tenant], who, 60, job_id=job_id)
    assert item is not None
    return ids


def a_webhook(owner: Owner) -> dict[str, str]:
    """An endpoint."""
    return {"webhook_id": owner.api.post("/v1/webhooks", WEBHOOK).json["webhook_id"]}


def a_delivery(owner: Owner) -> dict[str, str]:
    """A notice that is on its way."""
    ids = a_webhook(owner)
    owner.api.delete(f"/v1/jobs/{owner.api.submitted()}")
    (told, *_) = owner.api.get(f"/v1/webhooks/{ids['webhook_id']}/deliveries").json["deliveries"]
    return {**ids, "delivery_id": told["delivery_id"]}


def a_reviewers_key(owner: Owner) -> dict[str, str]:
    """With which somebody signs in."""
    return {"key": str(owner.reviewer.key)}


_PLAIN = Probe()
_CLAIM = {"action": "claim"}
PROBES: dict[str, Probe] = {
    "POST /v1/jobs": Probe(body=CLASSIFY),
    "GET /v1/jobs": _PLAIN,
    "GET /v1/jobs/{job_id}": Probe(a_job),
    "DELETE /v1/jobs/{job_id}": Probe(a_job),
    "GET /v1/jobs/{job_id}/events": Probe(an_ended_job),
    "GET /v1/tasks": _PLAIN,
    "POST /v1/batches": Probe(body=b'{"text": "x"}\n', headers=JSONL, query=BATCHES.partition("?")[2]),
    "GET /v1/batches": _PLAIN,
    "GET /v1/batches/{batch_id}": Probe(a_batch),
    "GET /v1/batches/{batch_id}/results": Probe(a_batch),
    "GET /v1/batches/{batch_id}/events": Probe(an_ended_batch),
    "DELETE /v1/batches/{batch_id}": Probe(a_batch),
    "POST /v1/batches/{batch_id}/retry": Probe(a_batch),
    "GET /v1/reviews": _PLAIN,
    "POST /v1/reviews/next": _PLAIN,
    "GET /v1/reviews/{job_id}": Probe(a_review),
    "POST /v1/reviews/{job_id}/claim": Probe(a_review),
    "POST /v1/reviews/{job_id}/renew": Probe(a_held_review, body={"fence": 1}),
    "POST /v1/reviews/{job_id}/release": Probe(a_held_review, body={}),
    "POST /v1/reviews/{job_id}/decision": Probe(a_held_review, body={"decision": "reject"}),
    "POST /v1/reviews/{job_id}/undo": Probe(a_decided_review),
    "GET /v1/reviews/counts": _PLAIN,
    "GET /v1/reviews/held": _PLAIN,
    "GET /v1/reviews/clusters": _PLAIN,
    "POST /v1/reviews/clusters/{cluster}/accept": Probe(a_cluster, body={"task": "classify", "reason": "refused"}),
    "GET /v1/reviews/second": _PLAIN,
    "POST /v1/reviews/second/next": _PLAIN,
    "GET /v1/reviews/second/{job_id}": Probe(a_second),
    "POST /v1/reviews/second/{job_id}/claim": Probe(a_second),
    "POST /v1/reviews/second/{job_id}/renew": Probe(a_held_second, body={"fence": 1}),
    "POST /v1/reviews/second/{job_id}/release": Probe(a_held_second, body={}),
    "POST /v1/reviews/second/{job_id}/decision": Probe(a_held_second, body={"decision": "reject"}),
    "POST /v1/reviews/second/{job_id}/verdict": Probe(a_held_third, body={"verdict": "both"}),
    "POST /v1/webhooks": Probe(body=WEBHOOK),
    "GET /v1/webhooks": _PLAIN,
    "GET /v1/webhooks/{webhook_id}": Probe(a_webhook),
    "DELETE /v1/webhooks/{webhook_id}": Probe(a_webhook),
    "POST /v1/webhooks/{webhook_id}/secret": Probe(a_webhook),
    "GET /v1/webhooks/{webhook_id}/deliveries": Probe(a_webhook),
    "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": Probe(a_delivery),
    "GET /v1": _PLAIN,
    "GET /v1/openapi.json": _PLAIN,
    "GET /metrics": _PLAIN,
    "GET /healthz": _PLAIN,
    "GET /readyz": Probe(statuses=frozenset({200, 503})),
    "GET /static/{path}": Probe(lambda _owner: {"path": "assay.css"}),
    "GET /signin": _PLAIN,
    "POST /signin": Probe(a_reviewers_key, form={"csrf": TOKEN, "login": "", "password": "{key}"}),
    "POST /signout": Probe(form={}),
    "GET /": _PLAIN,
    "GET /desk": _PLAIN,
    "POST /desk/next": Probe(form={}),
    "POST /desk/bulk": Probe(
        a_cluster, form={"tenant": "{tenant}", "task": "classify", "reason": "refused", "cluster": "{cluster}"}
    ),
    "POST /desk/undo": Probe(an_undo, form={"tenant": "{tenant}", "job": "{job_id}"}),
    "GET /desk/items/{job_id}": Probe(a_review),
    "POST /desk/items/{job_id}": Probe(a_review, form=_CLAIM),
    "POST /desk/items/{job_id}/renew": Probe(a_held_review, form={"fence": "1"}),
    "GET /desk/second": _PLAIN,
    "POST /desk/second/next": Probe(form={}),
    "GET /desk/second/{job_id}": Probe(a_second),
    "POST /desk/second/{job_id}": Probe(a_second, form=_CLAIM),
    "POST /desk/second/{job_id}/renew": Probe(a_held_second, form={"fence": "1"}),
    "GET /desk/agreement": _PLAIN,
    "GET /operators": _PLAIN,
    "GET /operators/jobs": _PLAIN,
    "GET /operators/jobs/{job_id}": Probe(a_job),
    "GET /operators/alerts": _PLAIN,
}
