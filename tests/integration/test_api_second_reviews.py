"""Second reviews over HTTP: nothing of the first answer is seen before one's own is given; then a third may judge."""

from typing import Any
from uuid import UUID

import pytest

from jobs.tenancy import create_key
from schemas.access import Role
from storage.database import Database
from tests.api_world import Api, client, drawn, in_review
from tests.house import House

pytestmark = pytest.mark.usefixtures("clean")
QUOTE = "charged twice"
SAME: dict[str, Any] = {"outcome": "classification", "labels": ["billing"], "evidence": "twice"}
OTHER = {**SAME, "labels": ["shipping"]}


@pytest.fixture
def ann(database: Database, port: int, tenant: str) -> Api:
    """A reviewer."""
    return Api(port, create_key(database, tenant, "ann", Role.REVIEWER.value)[1])


@pytest.fixture
def ben(database: Database, port: int, tenant: str) -> Api:
    """Another one."""
    return Api(port, create_key(database, tenant, "ben", Role.REVIEWER.value)[1])


@pytest.fixture
def job(database: Database, tenant: str) -> UUID:
    """A job that the model answered and that was drawn."""
    return drawn(database, tenant, f"I was {QUOTE} in March.", evidence=QUOTE)


def address(job: UUID, deed: str = "") -> str:
    """Of a second review."""
    return f"/v1/reviews/second/{job}{deed}"


def test_nothing_of_the_first_answer_is_told_before_the_second_is_given(ann: Api, ben: Api, job: UUID) -> None:
    """Neither in the list nor in the claim nor to who merely looks, nor by a refusal: labels, quote and confidence are in no
    byte but those of the document itself. The answer shows the model's."""
    listed = ann.get("/v1/reviews/second")
    (line,) = listed.json["reviews"]
    assert (line["job_id"], line["stage"], line["held"], line["mine"]) == (str(job), "second", False, False)
    claimed = ann.post("/v1/reviews/second/next")
    refused = ann.post(address(job, "/decision"), {"decision": "edit", "output": {**OTHER, "labels": ["unheard of"]}})
    told = [
        claimed,
        ann.get(address(job)),
        ben.get(address(job)),
        ann.post(address(job, "/verdict"), {"verdict": "model"}),
    ]
    for answer in (listed, refused, *told):
        shown = answer.json
        asked = shown.pop("request", None)
        assert asked is None or QUOTE in asked["text"]
        hidden = ("model", "second", "second_by", "second_decision", "second_note", "agrees", "verdict", "judged_by")
        assert {shown.get(name) for name in hidden} == {None}
        assert not shown.get("differing")
        assert QUOTE not in str(shown)
        assert "confidence" not in str(shown)
    assert [answer.status for answer in told] == [200, 200, 200, 409]
    assert refused.problem(422, "invalid-input")["errors"][0]["path"].startswith("labels")
    ann.get(f"/v1/reviews/{job}").problem(404, "not-found")
    outcome = ann.post(address(job, "/decision"), {"decision": "edit", "output": SAME, "fence": claimed.json["fence"]})
    assert (outcome.json["stage"], outcome.json["agrees"], outcome.json["differing"]) == ("settled", True, [])
    assert outcome.json["model"]["evidence"] == QUOTE
    assert ann.get("/v1/reviews/second").json["reviews"] == []


def test_where_the_two_differ_a_third_judges(ann: Api, ben: Api, job: UUID, house: House) -> None:
    """Who gave the second opinion is not given it again and may not judge; the third sees both, and the verdict settles it."""
    ann.post(address(job, "/claim"))
    outcome = ann.post(address(job, "/decision"), {"decision": "edit", "output": OTHER, "note": "a parcel"}).json
    assert (outcome["stage"], outcome["differing"]) == ("third", ["labels"])
    assert ann.get("/v1/reviews/second").json["reviews"][0]["mine"] is True
    assert ann.post("/v1/reviews/second/next").status == 204
    ann.post(address(job, "/claim")).problem(409, "state-conflict")
    held = ben.post("/v1/reviews/second/next").json
    assert (held["model"]["labels"], held["second"]["labels"], held["second_by"]) == (
        ["billing"],
        ["shipping"],
        "key:ann",
    )
    ann.post(address(job, "/verdict"), {"verdict": "second"}).problem(409, "state-conflict")
    ben.post(address(job, "/decision"), {"decision": "reject"}).problem(409, "state-conflict")
    judged = ben.post(address(job, "/verdict"), {"verdict": "both", "note": "unclear", "fence": held["fence"]}).json
    assert judged == {"job_id": str(job), "verdict": "both", "stage": "settled"}
    seen = ben.get(address(job)).json
    assert (seen["stage"], seen["verdict"], seen["judged_by"], seen["judged_note"]) == (
        "settled",
        "both",
        "key:ben",
        "unclear",
    )
    rows = house.query("SELECT kind, actor FROM events WHERE job_id = %s AND actor LIKE 'key:%%' ORDER BY at", job)
    assert rows == [
        ("second_review_claimed", "key:ann"), ("second_reviewed", "key:ann"), ("second_review_claimed", "key:ben"),
        ("second_review_judged", "key:ben"), ("second_review_seen", "key:ben"),
    ]  # fmt: skip


def test_claims_are_as_for_reviews(ann: Api, ben: Api, job: UUID) -> None:
    """Two never hold the same; a claim is renewed under its fence, and an older fence decides nothing; what is given back is
    the other's, and not the next one of who gave it back."""
    held = ann.post("/v1/reviews/second/next?task=classify").json
    assert held["reviewer"] == "key:ann"
    ben.post(address(job, "/claim")).problem(409, "state-conflict")
    assert ben.post("/v1/reviews/second/next").status == 204
    until = ann.post(address(job, "/renew"), {"fence": held["fence"]}).json["lease_until"]
    assert until >= held["lease_until"]
    assert ann.post(address(job, "/claim")).json["fence"] == held["fence"] + 1
    ann.post(address(job, "/renew"), {"fence": held["fence"]}).problem(409, "state-conflict")
    ann.post(address(job, "/decision"), {"decision": "reject", "fence": held["fence"]}).problem(409, "state-conflict")
    assert ann.post(address(job, "/release"), {}).json == {"job_id": str(job), "released": True, "reviewer": "key:ann"}
    ann.post(address(job, "/release"), {}).problem(409, "state-conflict")
    assert ann.post("/v1/reviews/second/next").status == 204
    assert ben.post("/v1/reviews/second/next").json["job_id"] == str(job)


def test_to_accept_there_is_nothing(ann: Api, job: UUID) -> None:
    """The body knows no such decision, nor one that can be undone."""
    ann.post(address(job, "/claim"))
    for body in ({"decision": "accept"}, {"decision": "reject", "can_be_undone": True}):
        ann.post(address(job, "/decision"), body).problem(422, "invalid-input")
    outcome = ann.post(address(job, "/decision"), {"decision": "not_applicable", "reason": "a poem"}).json
    assert (outcome["agrees"], outcome["stage"]) == (False, "third")


def test_a_review_is_no_second_review(ann: Api, database: Database, port: int, tenant: str) -> None:
    """Neither is found at the other's address; a task that waits nowhere is an empty list, one that does not exist is refused."""
    first = in_review(database, tenant)
    for deed in ("/claim", "/renew", "/release", "/decision", "/verdict"):
        bodies = {
            "/renew": {"fence": 0},
            "/release": {},
            "/decision": {"decision": "reject"},
            "/verdict": {"verdict": "both"},
        }
        ann.post(address(first, deed), bodies.get(deed)).problem(404, "not-found")
    ann.get(address(first)).problem(404, "not-found")
    drawn(database, tenant)
    assert ann.get("/v1/reviews/second?task=extract").json["reviews"] == []
    assert ann.post("/v1/reviews/second/next?task=extract").status == 204
    ann.get("/v1/reviews/second?task=translate").problem(400, "invalid-request")
    assert client(database, port, tenant).get("/v1/reviews/second").status == 404
