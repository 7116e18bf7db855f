"""A person's turn: claims with a lease, decisions under the model's contract. Against the real database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import UUID

import pytest

from jobs import review, review_queue, show
from jobs.cancel import NotFound, cancel
from jobs.review import ClaimLost, Decision, DecisionRefused
from storage.database import Database
from tests.house import House
from tests.integration.review_scenes import GOOD, TEXT, in_review, kinds

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def waiting(database: Database, tenant: str) -> UUID:
    """A job that waits for a person, with a suggestion."""
    return in_review(database, tenant)


def test_the_queue_says_why_a_job_is_there(database: Database, tenant: str, waiting: UUID) -> None:
    """The list shows reason and age, the claim brings source and suggestion."""
    (item,) = review_queue.queue(database, [tenant]).lines
    assert (item.job_id, item.reason, item.held) == (waiting, "refused", False)
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


def test_a_crowd_at_one_queue_never_shares_an_item(house: House, database: Database, tenant: str) -> None:
    """Eight people who all ask for the next one, again and again, at the same time: each item goes to one of them."""
    jobs = {in_review(database, tenant) for _ in range(24)}
    start = threading.Barrier(8)

    def take(person: int) -> list[UUID]:
        start.wait()
        own = [review_queue.claim_next(own_database, [tenant], f"{person}/{at}", 60) for at in range(4)]
        return [item.claimed.job_id for item in own if item is not None]

    with closing(Database(house.app_url, pool_size=8)) as own_database, ThreadPoolExecutor(8) as pool:
        taken = [job_id for own in pool.map(take, range(8)) for job_id in own]
    assert len(taken) == len(jobs)
    assert set(taken) == jobs


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


def test_a_refusal_names_each_field(database: Database, tenant: str, waiting: UUID) -> None:
    """For a form: every error with the path of its field; what PostgreSQL or UTF-8 cannot hold is one of them."""
    review.claim(database, tenant, "ann", 60)
    wrong = {"outcome": "classification", "labels": [1], "mood": "angry"}
    with pytest.raises(DecisionRefused) as refused:
        review.decide(database, tenant, waiting, "ann", Decision.EDIT, output=wrong)
    assert [error.path for error in refused.value.errors] == ["labels.0", "evidence", "mood"]
    assert not isinstance(refused.value, ClaimLost)
    with pytest.raises(DecisionRefused) as refused:
        review.decide(
            database, tenant, waiting, "ann", Decision.EDIT, output={**GOOD, "evidence": "a\x00b", "x": ["\ud800"]}
        )
    assert [error.path for error in refused.value.errors] == ["evidence", "x.0"]


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
    for reason in (None, " ", "long" * 200):
        with pytest.raises(DecisionRefused) as refused:
            review.decide(database, tenant, waiting, "ann", Decision.NOT_APPLICABLE, reason=reason)
        assert [error.path for error in refused.value.errors] == ["reason"]
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
    assert review_queue.queue(database, [tenant]).lines == []
    with pytest.raises(DecisionRefused, match="withdrawn"):
        review.decide(database, tenant, waiting, "ann", Decision.ACCEPT)


def test_reviews_of_other_tenants_do_not_exist(database: Database, waiting: UUID) -> None:
    """Another tenant neither sees nor decides it."""
    assert review_queue.queue(database, ["default"]).lines == []
    with pytest.raises(NotFound):
        review.decide(database, "default", waiting, "ann", Decision.ACCEPT)


def test_a_heartbeat_holds_a_claim_under_its_fence(
    house: House, database: Database, tenant: str, waiting: UUID
) -> None:
    """It moves the end of the claim; an older fence, another person, or a claim that has ended renews nothing."""
    item = review.claim(database, tenant, "ann", 60)
    assert item is not None
    until = review.renew(database, tenant, waiting, "ann", item.claimed.fence, 900)
    assert until > item.claimed.lease_until
    for reviewer, fence in (("bob", item.claimed.fence), ("ann", item.claimed.fence - 1)):
        with pytest.raises(ClaimLost, match="your claim has ended"):
            review.renew(database, tenant, waiting, reviewer, fence, 900)
    house.run("UPDATE reviews SET lease_until = now() - interval '1 second'")
    with pytest.raises(ClaimLost, match="your claim has ended"):
        review.renew(database, tenant, waiting, "ann", item.claimed.fence, 900)


def test_what_is_skipped_goes_to_others_first(house: House, database: Database, tenant: str, waiting: UUID) -> None:
    """A released review is free at once, but not the next one of who released it, until some time has passed; asked for by
    its id it is. The audit notes it."""
    review.claim(database, tenant, "ann", 60)
    review.release(database, tenant, waiting, "ann")
    assert review_queue.claim_next(database, [tenant], "ann", 60) is None
    bobs = review_queue.claim_next(database, [tenant], "bob", 60)
    assert bobs is not None
    review.release(database, tenant, waiting, "bob", fence=bobs.claimed.fence, skip_seconds=0)
    assert review.claim(database, tenant, "ann", 60, job_id=waiting) is not None
    review.release(database, tenant, waiting, "ann")
    house.run("UPDATE review_skips SET until = now() - interval '1 second'")
    assert review_queue.claim_next(database, [tenant], "ann", 60) is not None
    happened = ["review_claimed", "review_released"]
    assert [kind for kind, _ in kinds(house, waiting)] == [*happened * 3, "review_claimed"]


def test_only_who_holds_it_releases_it(database: Database, tenant: str, waiting: UUID) -> None:
    """Neither somebody else, nor an older claim of the same person, nor somebody of another tenant."""
    with pytest.raises(ClaimLost, match="nobody holds it"):
        review.release(database, tenant, waiting, "ann")
    first = review.claim(database, tenant, "ann", 60)
    assert first is not None
    review.claim(database, tenant, "ann", 60)
    with pytest.raises(ClaimLost, match="ann holds it"):
        review.release(database, tenant, waiting, "bob")
    with pytest.raises(ClaimLost, match="claimed anew"):
        review.release(database, tenant, waiting, "ann", fence=first.claimed.fence)
    with pytest.raises(NotFound):
        review.release(database, "default", waiting, "ann")
    assert review.claim(database, tenant, "bob", 60) is None
