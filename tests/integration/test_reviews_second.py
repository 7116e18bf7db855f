"""A random sample of the model's answers is looked at again, blindly; who was right is judged by a third. On the real database."""

from typing import Any
from uuid import UUID

import pytest

from jobs import review_rates, review_upkeep, second_figures, second_review, show
from jobs.cancel import NotFound
from jobs.review import ClaimLost, Decision, DecisionRefused
from schemas.answer import AnsweredBy
from schemas.review import Stage, Verdict
from storage.database import Database
from tests.house import House
from tests.integration.review_scenes import GOOD, OTHER, SUGGESTED, TEXT, answered, in_review, kinds

pytestmark = pytest.mark.usefixtures("clean")

DIFFERENT = {**GOOD, "labels": ["shipping"]}


def sampled(database: Database, tenant: str, count: int = 1) -> list[UUID]:
    """Answers of the model that were all drawn."""
    review_rates.set_rate(database, tenant, "classify", 1)
    jobs = [answered(database, tenant) for _ in range(count)]
    assert review_upkeep.sample_answers(database, lag_seconds=0) == count
    return jobs


def second(database: Database, tenant: str, output: dict[str, Any], who: str = "ann") -> second_review.Outcome:
    """What who is next answers."""
    item = second_review.claim(database, [tenant], who, 60)
    assert item is not None
    return second_review.decide(database, tenant, item.job_id, who, Decision.EDIT, output=output, fence=item.fence)


def test_only_answers_of_the_model_are_drawn(house: House, database: Database, tenant: str) -> None:
    """Of a tenant and task with a rate, answered by the model since the rate was set: each once, and nothing else."""
    before = answered(database, tenant)
    (drawn,) = sampled(database, tenant)
    answered(database, tenant, by=AnsweredBy.RULES)
    in_review(database, tenant)
    answered(database, "default")
    for _ in range(2):
        assert review_upkeep.sample_answers(database, lag_seconds=0) == 0
    assert house.query("SELECT job_id FROM second_reviews") == [(drawn,)]
    assert kinds(house, drawn) == [("second_review_asked", "sweeper")]
    assert kinds(house, before) == []


def test_the_draw_follows_the_rate(house: House, database: Database, tenant: str) -> None:
    """Of 2,000 answers at a rate of 0.2 some 400 are drawn: beyond 300 or 500 is less likely than one in a million; with a
    rate of 0 none."""
    review_rates.set_rate(database, tenant, "classify", 0.2)
    house.run(
        "INSERT INTO jobs (id, tenant_id, task, state, fallback, answered_by, finished_at) SELECT gen_random_uuid(),"
        f" '{tenant}', 'classify', 'answered', 'person', 'model', now() FROM generate_series(1, 2000)"
    )
    assert 300 < review_upkeep.sample_answers(database, lag_seconds=0) < 500
    review_rates.set_rate(database, tenant, "classify", 0)
    answered(database, tenant)
    assert review_upkeep.sample_answers(database, lag_seconds=0) == 0


def test_what_just_finished_is_drawn_later(database: Database, tenant: str) -> None:
    """A transaction that began earlier may still commit: nothing is passed over that is younger than the lag."""
    review_rates.set_rate(database, tenant, "classify", 1)
    answered(database, tenant)
    assert review_upkeep.sample_answers(database) == 0
    assert review_upkeep.sample_answers(database, lag_seconds=0) == 1


def test_the_second_person_is_blind(database: Database, tenant: str) -> None:
    """Before the opinion is given, nothing of the model's answer is in what is shown, whoever looks."""
    (job_id,) = sampled(database, tenant)
    (line,) = second_review.waiting(database, [tenant], "ann")
    assert (line.job_id, line.stage, line.mine) == (job_id, Stage.SECOND, False)
    claimed = second_review.claim(database, [tenant], "ann", 60)
    assert claimed is not None
    for item in (claimed, second_review.look(database, tenant, job_id, "bob")):
        assert item.request["text"] == TEXT
        assert (item.model, item.second, item.agrees, item.differing) == (None, None, None, [])
        assert "refund the invoice" not in str({**vars(item), "request": None})


def test_who_agrees_settles_it(house: House, database: Database, tenant: str) -> None:
    """The same finding on other grounds agrees; the model's answer is shown then, and the figures count it."""
    (job_id,) = sampled(database, tenant)
    outcome = second(database, tenant, {**GOOD, "evidence": "invoice"})
    assert (outcome.agreement.agrees, outcome.stage, outcome.model) == (True, Stage.SETTLED, SUGGESTED)
    assert second_review.waiting(database, [tenant], "bob") == []
    (figures,) = second_figures.agreement(database, [tenant])
    assert (figures.rate, figures.reviewed, figures.agreed, figures.share, figures.field_share) == (1, 1, 1, 1, 1)
    assert kinds(house, job_id)[1:] == [("second_review_claimed", "ann"), ("second_reviewed", "ann")]


def test_where_they_differ_a_third_judges(house: House, database: Database, tenant: str) -> None:
    """Both answers are shown to a third person, whose verdict is counted; the second one cannot be the judge, and the job's
    answer stays as it was given."""
    (job_id,) = sampled(database, tenant)
    outcome = second(database, tenant, DIFFERENT)
    assert (outcome.agreement.differing, outcome.stage) == (["labels"], Stage.THIRD)
    assert second_review.claim(database, [tenant], "ann", 60) is None
    assert second_review.claim(database, [tenant], "ann", 60, job_id=job_id) is None
    assert [line.mine for line in second_review.waiting(database, [tenant], "ann")] == [True]
    item = second_review.claim(database, [tenant], "bob", 60)
    assert item is not None
    assert (item.model, item.second, item.second_by) == (SUGGESTED, {**DIFFERENT, "confidence": None}, "ann")
    with pytest.raises(ClaimLost, match="bob holds it"):
        second_review.judge(database, tenant, job_id, "ann", Verdict.SECOND)
    second_review.judge(database, tenant, job_id, "bob", Verdict.MODEL, note="clearly billing", fence=item.fence)
    (figures,) = second_figures.agreement(database, [tenant])
    assert (figures.share, figures.third_waiting, figures.verdicts[Verdict.MODEL]) == (0, 0, 1)
    assert (figures.fields, figures.equal_fields) == (2, 1)
    assert show.show(database, tenant, job_id).answer == SUGGESTED
    assert kinds(house, job_id)[-2:] == [("second_review_claimed", "bob"), ("second_review_judged", "bob")]
    with pytest.raises(ClaimLost, match="settled"):
        second_review.judge(database, tenant, job_id, "bob", Verdict.SECOND)


def test_no_answer_and_not_this_task_are_opinions(database: Database, tenant: str) -> None:
    """Both differ from a model's answer; to accept, there is nothing."""
    sampled(database, tenant, 2)
    item = second_review.claim(database, [tenant], "ann", 60)
    assert item is not None
    with pytest.raises(DecisionRefused, match="nothing to accept"):
        second_review.decide(database, tenant, item.job_id, "ann", Decision.ACCEPT)
    with pytest.raises(DecisionRefused) as refused:
        second_review.decide(database, tenant, item.job_id, "ann", Decision.EDIT, output={**OTHER, "labels": ["x"]})
    assert [error.path for error in refused.value.errors] == ["labels.0"]
    second_review.decide(database, tenant, item.job_id, "ann", Decision.REJECT)
    item = second_review.claim(database, [tenant], "ann", 60)
    assert item is not None
    second_review.decide(database, tenant, item.job_id, "ann", Decision.NOT_APPLICABLE, reason="a poem")
    opinions = [second_review.look(database, tenant, line.job_id, "bob") for line in second_review.waiting(
        database, [tenant], "bob"
    )]  # fmt: skip
    assert {item.second_decision: item.second for item in opinions} == {
        Decision.REJECT: None, Decision.NOT_APPLICABLE: {"outcome": "not_applicable", "reason": "a poem"},
    }  # fmt: skip


def test_claims_are_as_for_reviews(house: House, database: Database, tenant: str) -> None:
    """Two never hold the same, a claim that has ended goes to others, an older fence decides nothing, what is skipped is not
    the next one, and another tenant sees nothing."""
    (job_id,) = sampled(database, tenant)
    first = second_review.claim(database, [tenant], "ann", 60)
    assert first is not None
    assert second_review.claim(database, [tenant], "bob", 60) is None
    assert second_review.renew(database, tenant, job_id, "ann", first.fence, 900) > (first.lease_until or 0)  # type: ignore[operator]
    house.run("UPDATE second_reviews SET lease_until = now() - interval '1 second'")
    with pytest.raises(ClaimLost, match="claim has ended"):
        second_review.renew(database, tenant, job_id, "ann", first.fence, 900)
    with pytest.raises(ClaimLost, match="your claim ran out"):
        second_review.decide(database, tenant, job_id, "ann", Decision.EDIT, output=GOOD)
    bobs = second_review.claim(database, [tenant], "bob", 60)
    assert bobs is not None
    with pytest.raises(ClaimLost, match="bob holds it"):
        second_review.decide(database, tenant, job_id, "ann", Decision.EDIT, output=GOOD)
    with pytest.raises(ClaimLost, match="claimed anew"):
        second_review.decide(database, tenant, job_id, "bob", Decision.EDIT, output=GOOD, fence=first.fence)
    second_review.release(database, tenant, job_id, "bob")
    assert second_review.claim(database, [tenant], "bob", 60) is None
    assert second_review.claim(database, [tenant], "ann", 60) is not None
    assert second_review.waiting(database, ["default"], "eve") == []
    with pytest.raises(NotFound):
        second_review.look(database, "default", job_id, "eve")
