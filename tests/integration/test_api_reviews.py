"""A person's turn over HTTP: the queue, a claim, a decision field by field, and its undoing."""

from uuid import UUID

import pytest

from schemas.access import Role
from storage.database import Database
from tests.api_world import Api, client, in_review
from tests.house import House

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def ann(database: Database, port: int, tenant: str) -> Api:
    """A reviewer."""
    return client(database, port, tenant, Role.REVIEWER)


@pytest.fixture
def ben(database: Database, port: int, tenant: str, house: House) -> Api:
    """Another one, by another name."""
    found = client(database, port, tenant, Role.REVIEWER)
    house.run(
        "UPDATE api_keys SET name = 'ben' WHERE id = (SELECT id FROM api_keys ORDER BY created_at DESC, id DESC LIMIT 1)"
    )
    return found


@pytest.fixture
def job(database: Database, tenant: str) -> UUID:
    """A job that waits for a person, with a suggestion."""
    return in_review(database, tenant)


def test_the_next_review_is_claimed_decided_and_is_the_jobs_answer(
    ann: Api, database: Database, port: int, tenant: str, job: UUID
) -> None:
    """The suggestion is accepted; the job is answered by a person; then nothing waits any more."""
    (waiting,) = ann.get("/v1/reviews").json["reviews"]
    assert (waiting["job_id"], waiting["held"], waiting["reason"]) == (str(job), False, "refused")
    held = ann.post("/v1/reviews/next")
    assert (held.status, held.json["job_id"], held.json["request"]["text"]) == (200, str(job), "charged twice")
    decided = ann.post(f"/v1/reviews/{job}/decision", {"decision": "accept", "fence": held.json["fence"]})
    assert (decided.status, decided.json["answer"]["labels"]) == (200, ["billing"])
    view = client(database, port, tenant).get(f"/v1/jobs/{job}").json
    assert (view["state"], view["answered_by"]) == ("answered", "person")
    assert ann.post("/v1/reviews/next").status == 204


def test_two_do_not_get_the_same(ann: Api, ben: Api, job: UUID) -> None:
    """Who comes second gets nothing, may not decide, and is told 409; when it is given back, it is theirs."""
    mine = ann.post("/v1/reviews/next").json
    assert ben.post("/v1/reviews/next").status == 204
    ben.post(f"/v1/reviews/{job}/claim").problem(409, "state-conflict")
    ben.post(f"/v1/reviews/{job}/decision", {"decision": "reject"}).problem(409, "state-conflict")
    assert ann.post(f"/v1/reviews/{job}/renew", {"fence": mine["fence"]}).json["lease_until"] >= mine["lease_until"]
    assert ann.post(f"/v1/reviews/{job}/release", {}).json == {
        "job_id": str(job), "released": True, "reviewer": "key:a reviewer",
    }  # fmt: skip
    ann.post(f"/v1/reviews/{job}/renew", {"fence": mine["fence"]}).problem(409, "state-conflict")
    assert ben.post("/v1/reviews/next").json["job_id"] == str(job)


def test_an_answer_that_breaks_the_contract_is_refused_field_by_field(ann: Api, job: UUID) -> None:
    """The path leads through the answer; the review stays claimed and can be decided anew."""
    ann.post("/v1/reviews/next")
    wrong = {"outcome": "classification", "labels": ["unheard of"], "confidence": 0.9, "evidence": "charged twice"}
    found = ann.post(f"/v1/reviews/{job}/decision", {"decision": "edit", "output": wrong}).problem(422, "invalid-input")
    assert found["errors"][0]["path"].startswith("labels")
    right = {**wrong, "labels": ["shipping"]}
    assert ann.post(f"/v1/reviews/{job}/decision", {"decision": "edit", "output": right}).status == 200


def test_a_decision_can_be_taken_back_within_its_minute(
    ann: Api, database: Database, port: int, tenant: str, job: UUID
) -> None:
    """Until it takes effect the job is still in review; undone, the review is claimed again and decided otherwise."""
    ann.post("/v1/reviews/next")
    ann.post(f"/v1/reviews/{job}/decision", {"decision": "reject", "can_be_undone": True})
    seen = ann.get(f"/v1/reviews/{job}").json
    assert (seen["decision"], seen["pending"]) == ("reject", True)
    assert client(database, port, tenant).get(f"/v1/jobs/{job}").json["state"] == "in_review"
    assert ann.post(f"/v1/reviews/{job}/undo").json["job_id"] == str(job)
    assert ann.post(f"/v1/reviews/{job}/decision", {"decision": "accept"}).status == 200
    ann.post(f"/v1/reviews/{job}/undo").problem(409, "state-conflict")


def test_the_queue_is_filtered_and_walked(ann: Api, database: Database, tenant: str) -> None:
    """By task, reason and age; each review once, page by page."""
    made = {str(in_review(database, tenant, f"text {number}")) for number in range(5)}
    seen: list[str] = []
    after = ""
    while True:
        page = ann.get(f"/v1/reviews?limit=2{after}").json
        seen += [one["job_id"] for one in page["reviews"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert (set(seen), len(seen)) == (made, 5)
    counts = {"task=classify": 5, "task=extract": 0, "reason=refused": 5, "reason=timeout": 0, "older_than=3600": 0}
    for query, count in counts.items():
        assert len(ann.get(f"/v1/reviews?{query}").json["reviews"]) == count, query
    ann.get("/v1/reviews?after=x").problem(400, "invalid-request")


def test_every_look_and_decision_is_in_the_jobs_story(ann: Api, house: House, job: UUID) -> None:
    """With the name of the key."""
    ann.post("/v1/reviews/next")
    ann.get(f"/v1/reviews/{job}")
    ann.post(f"/v1/reviews/{job}/decision", {"decision": "reject"})
    rows = house.query("SELECT kind FROM events WHERE job_id = %s AND actor = 'key:a reviewer' ORDER BY at", job)
    assert [kind for (kind,) in rows] == ["review_claimed", "review_seen", "decided"]
