"""A person's turn: claims with a lease, decisions under the model's contract. Against the real database."""

from uuid import UUID

import pytest

from jobs import review, show
from jobs.cancel import NotFound, cancel
from jobs.review import Decision, DecisionRefused
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from storage import leases
from storage.database import Database
from tests.house import House, submit_text

pytestmark = pytest.mark.usefixtures("clean")

TEXT = "Please refund the invoice."
GOOD = {"outcome": "classification", "labels": ["billing"], "evidence": "refund the invoice"}


@pytest.fixture
def waiting(database: Database, tenant: str) -> UUID:
    """A job that waits for a person, with a suggestion."""
    return in_review(database, tenant)


def in_review(database: Database, tenant: str, suggestion: dict[str, object] | None = None) -> UUID:
    """Bring a new job into review."""
    job_id = submit_text(database, tenant, TEXT)
    with database.tenant(tenant) as connection:
        claimed = leases.claim(connection, job_id, new_id(), 30)
        assert claimed is not None
        failure = Failure(reason=FailureReason.REFUSED, detail="The model declined.")
        assert leases.conclude_in_review(connection, claimed, failure, suggestion or {**GOOD, "confidence": None})
    return job_id


def test_the_queue_says_why_a_job_is_there(database: Database, tenant: str, waiting: UUID) -> None:
    """The list shows reason and age, the claim brings source and suggestion."""
    (item,) = review.list_waiting(database, tenant)
    assert (item["job_id"], item["reason"], item["held"]) == (waiting, "refused", None)
    claimed = review.claim(database, tenant, "ann", 60)
    assert claimed is not None
    assert claimed.request["text"] == TEXT
    assert claimed.claimed.suggestion is not None
    assert claimed.claimed.suggestion["labels"] == ["billing"]


def test_two_people_never_hold_the_same(database: Database, tenant: str, waiting: UUID) -> None:
    """While one holds it there is nothing for the other; an expired claim returns by itself."""
    assert review.claim(database, tenant, "ann", 60) is not None
    assert review.claim(database, tenant, "bob", 60) is None
    assert review.claim(database, tenant, "bob", 60, job_id=waiting) is None
    assert review.claim(database, tenant, "ann", 0) is not None
    assert review.claim(database, tenant, "bob", 60) is not None


def test_accepting_answers_the_job(database: Database, tenant: str, waiting: UUID) -> None:
    """The suggestion becomes the answer, given by a person, and the audit names who decided."""
    review.claim(database, tenant, "ann", 60)
    review.decide(database, tenant, waiting, "ann", Decision.ACCEPT, note="plainly billing")
    view = show.show(database, tenant, waiting)
    assert (view.state, view.answered_by) == ("answered", "person")
    assert view.answer is not None
    assert view.answer["labels"] == ["billing"]
    story = show.story(database, tenant, waiting)
    assert story.review is not None
    assert (story.review["decided_by"], story.review["decision"], story.review["note"]) == (
        "ann",
        "accept",
        "plainly billing",
    )
    assert [event["kind"] for event in story.events] == ["review_claimed", "decided"]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({**GOOD, "labels": ["refunds"]}, "labels.0: is 'refunds'; use one of"),
        ({**GOOD, "evidence": "refund my holiday"}, "evidence: does not stand in the document"),
        ({**GOOD, "labels": ["billing", "other"]}, "give exactly one"),
        ({"outcome": "classification", "labels": ["billing"]}, "evidence: is missing"),
        ({**GOOD, "mood": "angry"}, "mood: there is no such field"),
    ],
)
def test_a_persons_answer_meets_the_contract_or_is_refused(
    database: Database, tenant: str, waiting: UUID, output: dict[str, object], words: str
) -> None:
    """What a model may not answer, a person may not either; the review stays claimed and can be corrected."""
    review.claim(database, tenant, "ann", 60)
    with pytest.raises(DecisionRefused) as refused:
        review.decide(database, tenant, waiting, "ann", Decision.EDIT, output=output)
    assert words in str(refused.value)
    assert show.show(database, tenant, waiting).state == "in_review"
    review.decide(database, tenant, waiting, "ann", Decision.EDIT, output=GOOD)
    assert show.show(database, tenant, waiting).state == "answered"


def test_a_claim_must_be_held(database: Database, tenant: str, waiting: UUID) -> None:
    """Nobody decides without a claim, on another's claim, or after the claim ran out; each refusal says so."""
    with pytest.raises(DecisionRefused, match="nobody holds it; claim it first"):
        review.decide(database, tenant, waiting, "ann", Decision.ACCEPT)
    review.claim(database, tenant, "ann", 60)
    with pytest.raises(DecisionRefused, match="ann holds it"):
        review.decide(database, tenant, waiting, "bob", Decision.ACCEPT)
    review.claim(database, tenant, "ann", 0)
    with pytest.raises(DecisionRefused, match="your claim ran out"):
        review.decide(database, tenant, waiting, "ann", Decision.ACCEPT)


def test_a_review_is_decided_once(house: House, database: Database, tenant: str, waiting: UUID) -> None:
    """A second decision is refused and names the first."""
    review.claim(database, tenant, "ann", 60)
    review.decide(database, tenant, waiting, "ann", Decision.ACCEPT)
    with pytest.raises(DecisionRefused, match=r"decided already, by ann \(accept\)"):
        review.decide(database, tenant, waiting, "ann", Decision.REJECT)
    assert house.query("SELECT count(*) FROM answers") == [(1,)]


def test_not_this_task_is_an_answer(database: Database, tenant: str, waiting: UUID) -> None:
    """A person may say that the task does not apply, with a reason; that is what the producer gets."""
    review.claim(database, tenant, "ann", 60)
    with pytest.raises(DecisionRefused, match="reason"):
        review.decide(database, tenant, waiting, "ann", Decision.NOT_APPLICABLE)
    review.decide(database, tenant, waiting, "ann", Decision.NOT_APPLICABLE, reason="an advertisement")
    view = show.show(database, tenant, waiting)
    assert view.answer == {"outcome": "not_applicable", "reason": "an advertisement"}


def test_rejecting_fails_the_job(database: Database, tenant: str, waiting: UUID) -> None:
    """A person who cannot answer either ends the job without an answer."""
    review.claim(database, tenant, "ann", 60)
    review.decide(database, tenant, waiting, "ann", Decision.REJECT)
    assert show.show(database, tenant, waiting).state == "failed"


def test_a_cancelled_job_leaves_the_queue(database: Database, tenant: str, waiting: UUID) -> None:
    """Cancelling withdraws the review."""
    cancel(database, tenant, waiting)
    assert review.list_waiting(database, tenant) == []
    with pytest.raises(DecisionRefused, match="withdrawn"):
        review.decide(database, tenant, waiting, "ann", Decision.ACCEPT)


def test_reviews_of_other_tenants_do_not_exist(database: Database, waiting: UUID) -> None:
    """Another tenant neither sees nor decides it."""
    assert review.list_waiting(database, "default") == []
    with pytest.raises(NotFound):
        review.decide(database, "default", waiting, "ann", Decision.ACCEPT)
