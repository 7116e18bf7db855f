"""The review queue over HTTP: its counts, what is held, what is alike and accepted together."""

import pytest

from jobs import review
from schemas.access import Role
from storage.database import Database
from tests.api_world import Api, client, drawn, in_review
from tests.house import House

pytestmark = pytest.mark.usefixtures("clean")
MINUTE_OVER = "UPDATE reviews SET effective_at = now() WHERE effective_at IS NOT NULL"


@pytest.fixture
def ann(database: Database, port: int, tenant: str) -> Api:
    """A reviewer."""
    return client(database, port, tenant, Role.REVIEWER)


def test_counts_say_what_waits_and_what_of_it_is_held(ann: Api, database: Database, tenant: str) -> None:
    """By task and reason; a second review is none of them."""
    assert ann.get("/v1/reviews/counts").json == {"counts": []}
    for number in range(3):
        in_review(database, tenant, f"text {number}")
    drawn(database, tenant)
    ann.post("/v1/reviews/next")
    (count,) = ann.get("/v1/reviews/counts").json["counts"]
    assert (count["task"], count["reason"], count["waiting"], count["held"]) == ("classify", "refused", 3, 1)


def test_what_is_held_names_who_holds_it(ann: Api, database: Database, tenant: str) -> None:
    """This key's claims and those of people at the desk, the one that ends first in front; the queue says the same."""
    jobs = [in_review(database, tenant, f"text {number}") for number in range(3)]
    assert review.claim(database, tenant, "ben", 60, job_id=jobs[1]) is not None
    mine = ann.post(f"/v1/reviews/{jobs[2]}/claim").json
    assert mine["reviewer"] == "key:a reviewer"
    held = ann.get("/v1/reviews/held").json["reviews"]
    assert [(one["job_id"], one["reviewer"]) for one in held] == [
        (str(jobs[1]), "ben"),
        (str(jobs[2]), "key:a reviewer"),
    ]
    assert ann.get("/v1/reviews/held?limit=1").json["reviews"] == held[:1]
    listed = {one["job_id"]: one["reviewer"] for one in ann.get("/v1/reviews").json["reviews"]}
    assert listed == {str(jobs[0]): None, str(jobs[1]): "ben", str(jobs[2]): "key:a reviewer"}
    assert ann.get(f"/v1/reviews/{jobs[1]}").json["reviewer"] == "ben"


def test_clusters_are_filtered_as_the_queue_is(ann: Api, database: Database, tenant: str) -> None:
    """Two or more equal suggestions, the largest first, each with its digest, which its reviews name too."""
    for text, count in {"a": 2, "b": 3, "c": 1}.items():
        for _ in range(count):
            in_review(database, tenant, text)
    largest, smaller = ann.get("/v1/reviews/clusters").json["clusters"]
    assert [(one["suggestion"]["evidence"], one["waiting"]) for one in (largest, smaller)] == [("b", 3), ("a", 2)]
    digests = [one["cluster"] for one in ann.get("/v1/reviews").json["reviews"]]
    assert (digests.count(largest["cluster"]), digests.count(smaller["cluster"])) == (3, 2)
    sizes = {
        "task=classify": 2,
        "task=extract": 0,
        "reason=refused": 2,
        "reason=timeout": 0,
        "older_than=60": 0,
        "limit=1": 1,
    }
    for query, count in sizes.items():
        assert len(ann.get(f"/v1/reviews/clusters?{query}").json["clusters"]) == count, query
    ann.get("/v1/reviews/clusters?task=translate").problem(400, "invalid-request")
    ann.get("/v1/reviews/clusters?older=5").problem(400, "invalid-request")


def test_a_cluster_is_accepted_at_once(ann: Api, house: House, database: Database, port: int, tenant: str) -> None:
    """So many as asked for are answered, each with its line in the audit; what somebody else holds is left; and when nothing
    waits any more there is no such cluster."""
    jobs = [in_review(database, tenant) for _ in range(4)]
    assert review.claim(database, tenant, "ben", 60, job_id=jobs[0]) is not None
    (cluster,) = ann.get("/v1/reviews/clusters").json["clusters"]
    address = f"/v1/reviews/clusters/{cluster['cluster']}/accept"
    which = {"task": "classify", "reason": "refused"}
    first = ann.post(address, {**which, "limit": 2, "note": "alike"}).json
    assert (len(first["accepted"]), first["refused"], first["left"]) == (2, 0, 1)
    second = ann.post(address, which).json
    assert (len(second["accepted"]), second["left"], second["reviewer"]) == (1, 0, "key:a reviewer")
    assert {*first["accepted"], *second["accepted"]} == {str(job_id) for job_id in jobs[1:]}
    producer = client(database, port, tenant)
    states = {producer.get(f"/v1/jobs/{job_id}").json["state"] for job_id in jobs[1:]}
    assert states == {"answered"}
    assert producer.get(f"/v1/jobs/{jobs[0]}").json["state"] == "in_review"
    decided = house.query("SELECT note FROM reviews WHERE decided_by = 'key:a reviewer'")
    assert sorted(note or "" for (note,) in decided) == ["", "alike", "alike"]
    ann.post(address, which).problem(404, "not-found")


def test_a_cluster_accepted_can_be_undone_one_by_one(
    ann: Api, house: House, database: Database, port: int, tenant: str
) -> None:
    """With `can_be_undone` nothing takes effect for a minute; what is not taken back then does."""
    jobs = [str(in_review(database, tenant)) for _ in range(2)]
    (cluster,) = ann.get("/v1/reviews/clusters").json["clusters"]
    body = {"task": "classify", "reason": "refused", "can_be_undone": True}
    done = ann.post(f"/v1/reviews/clusters/{cluster['cluster']}/accept", body).json
    assert set(done["accepted"]) == {*jobs}
    producer = client(database, port, tenant)
    assert {producer.get(f"/v1/jobs/{job_id}").json["state"] for job_id in jobs} == {"in_review"}
    assert ann.post(f"/v1/reviews/{jobs[0]}/undo").json["job_id"] == jobs[0]
    house.run(MINUTE_OVER)
    assert [one["job_id"] for one in ann.get("/v1/reviews").json["reviews"]] == [jobs[0]]
    assert [producer.get(f"/v1/jobs/{job_id}").json["state"] for job_id in jobs] == ["in_review", "answered"]


def test_what_names_no_cluster_is_refused(ann: Api, database: Database, tenant: str) -> None:
    """Another reason or task is another cluster; a digest is 64 digits; a task and a limit are what they can be."""
    for _ in range(2):
        in_review(database, tenant)
    (cluster,) = ann.get("/v1/reviews/clusters").json["clusters"]
    address = f"/v1/reviews/clusters/{cluster['cluster']}/accept"
    good = {"task": "classify", "reason": "refused"}
    ann.post(address, {**good, "reason": "timeout"}).problem(404, "not-found")
    ann.post(address, {**good, "task": "extract"}).problem(404, "not-found")
    ann.post(f"/v1/reviews/clusters/{cluster['cluster'][:12]}/accept", good).problem(404, "not-found")
    for wrong, path in (
        ({**good, "task": "translate"}, "task"), ({**good, "reason": "soon"}, "reason"), ({**good, "limit": 201}, "limit"),
        ({"task": "classify"}, "reason"),
    ):  # fmt: skip
        (error,) = ann.post(address, wrong).problem(422, "invalid-input")["errors"]
        assert error["path"] == path
    assert len(ann.get("/v1/reviews").json["reviews"]) == 2
