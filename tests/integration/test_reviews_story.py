"""What the page of a review shows: why it is here, what was tried, both suggestions and where they differ."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from jobs import review, review_story
from jobs.cancel import NotFound
from jobs.review import Decision
from jobs.review_story import last_said
from schemas.attempt import AttemptOutcome, Call, Purpose, Reply
from schemas.failure import Failure, FailureReason
from schemas.job import Priority
from schemas.tier import Tier
from schemas.usage import Usage
from storage import attempts, leases
from storage.attempts import Settlement
from storage.database import Database
from tasks import find_task
from tests.house import LABELS, House
from tests.integration.review_scenes import GOOD, OTHER, SUGGESTED, TEXT, claimed_job, in_review, kinds

pytestmark = pytest.mark.usefixtures("clean")

CALL = Call(
    task="classify", purpose=Purpose.FIRST, prompt_version="v1", prompt_digest="d", tier=Tier.SMALL, model="small-model",
    system="", messages=[], max_tokens=10, parameters={}, output_schema={},
)  # fmt: skip
REQUEST: dict[str, Any] = {"text": TEXT, "labels": LABELS}


def reply(text: str) -> Reply:
    """A message with this text, as it is stored."""
    raw = {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]}
    usage = Usage(input_tokens=100, output_tokens=10)
    return Reply(
        text=text, stop_reason="end_turn", model="small-model", request_id="r", usage=usage, raw=raw, seconds=0.5
    )


def tried(database: Database, tenant: str, texts: list[str]) -> UUID:
    """A job for which a model said this, call by call, and which came to a person then."""
    claim = claimed_job(database, tenant)
    failure = Failure(reason=FailureReason.UNGROUNDED, detail="Not in the document: evidence.")
    with database.tenant(tenant) as connection:
        for number, text in enumerate(texts, start=1):
            attempts.open_next(connection, claim, number, CALL, "test")
            attempts.settle(
                connection, claim,
                Settlement(number, AttemptOutcome.REJECTED, reply(text), failure=failure, cost_usd=Decimal("0.002")),
            )  # fmt: skip
        assert leases.conclude_in_review(connection, claim, failure, SUGGESTED)
    return claim.job_id


def test_the_story_of_a_review(house: House, database: Database, tenant: str) -> None:
    """Reason and failed field, each call with its cost, the model's last answer beside that of the rules, the paths in which
    they differ, and the line in the audit that says who looked."""
    wire = {"outcome": "classification", "label": "other", "evidence": "a parcel"}
    job_id = tried(database, tenant, ["nonsense", json.dumps({"answer": wire})])
    item = review_story.look(database, tenant, job_id, "ann")
    assert (item.review.reason, item.review.detail) == ("ungrounded", "Not in the document: evidence.")
    assert (item.review.priority, item.review.attempts, item.review.held) == (Priority.NORMAL, 2, False)
    assert item.request["text"] == TEXT
    assert [(line.number, line.model, line.outcome, line.cost_usd) for line in item.attempts] == [
        (1, "small-model", "rejected", Decimal("0.002")), (2, "small-model", "rejected", Decimal("0.002")),
    ]  # fmt: skip
    assert item.cost_usd == Decimal("0.004")
    assert item.model == {"outcome": "classification", "labels": ["other"], "evidence": "a parcel"}
    assert item.rules == SUGGESTED
    assert item.differing == ["evidence", "labels.0", "confidence"]
    assert [(violation.path, violation.ungrounded) for violation in item.violations] == [("evidence", True)]
    assert [event["kind"] for event in item.events] == ["review_seen"]
    assert kinds(house, job_id) == [("review_seen", "ann")]


def test_a_look_changes_no_claim(database: Database, tenant: str) -> None:
    """Opening it in a second window leaves the fence and the holder; a colleague sees who holds it."""
    job_id = in_review(database, tenant)
    claimed = review.claim(database, tenant, "ann", 60)
    assert claimed is not None
    for reviewer in ("ann", "bob"):
        seen = review_story.look(database, tenant, job_id, reviewer).review
        assert (seen.fence, seen.reviewer) == (claimed.claimed.fence, "ann")
        assert seen.is_held_by(reviewer) == (reviewer == "ann")
    review.decide(database, tenant, job_id, "ann", Decision.EDIT, output=GOOD, grace_seconds=60)
    seen = review_story.look(database, tenant, job_id, "ann").review
    assert (seen.pending, seen.held, seen.decision) == (Decision.EDIT, False, None)
    assert (seen.may_be_undone_by("ann"), seen.may_be_undone_by("bob")) == (True, False)


def test_another_tenants_review_does_not_exist(house: House, database: Database, tenant: str) -> None:
    """Looking at it is answered like looking at nothing, and leaves no trace in its audit."""
    job_id = in_review(database, tenant)
    with pytest.raises(NotFound):
        review_story.look(database, "default", job_id, "eve")
    assert kinds(house, job_id) == []


@pytest.mark.parametrize(
    ("texts", "output", "paths"),
    [
        ([], None, []),
        (["", "  "], None, []),
        (["{"], None, [""]),
        (["[" * 100_000], None, [""]),
        (['{"answer": 1}'], None, [""]),
        ([json.dumps({"answer": {"labels": []}})], {"labels": []}, ["labels", "evidence"]),
        ([json.dumps({"answer": {"outcome": "not_applicable", "reason": "a poem"}})],
         {"outcome": "not_applicable", "reason": "a poem"}, []),
        ([json.dumps({"answer": {**OTHER, "evidence": "invoice"}}), ""], {**OTHER, "evidence": "invoice"}, []),
    ],
)  # fmt: skip
def test_the_last_answer_of_a_model_is_read_as_far_as_it_goes(
    texts: list[str], output: dict[str, Any] | None, paths: list[str]
) -> None:
    """Whatever a model wrote: an output where it has the form of one, and the paths at which it breaks the contract."""
    calls: list[dict[str, Any]] = [{"response": reply(text).raw, "outcome": "rejected"} for text in texts]
    calls += [{"response": response, "outcome": "failed"} for response in (None, {"error": "x"}, {"content": "x"})]
    said = last_said(find_task("classify"), REQUEST, calls)
    assert said.output == output
    assert [violation.path for violation in said.violations] == paths
