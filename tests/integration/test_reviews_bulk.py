"""Accepting equal suggestions together, one by one in the audit. Against the real database."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from jobs import review, review_bulk, review_queue, review_upkeep, show
from jobs.cancel import NotFound
from jobs.review_bulk import BULK_LIMIT, BulkAccepted, Cluster
from schemas.failure import FailureReason
from schemas.review import QueueFilter
from storage.database import Database
from tests.house import House
from tests.integration.review_scenes import OTHER, SUGGESTED, in_review, kinds
from tests.integration.test_reviews_undo import MINUTE_OVER

pytestmark = pytest.mark.usefixtures("clean")


def clusters(database: Database, tenant: str) -> dict[str, Cluster]:
    """The clusters of a tenant by their label."""
    return {found.suggestion["labels"][0]: found for found in review_bulk.clusters(database, [tenant])}


def accept(
    database: Database, tenant: str, cluster: Cluster, *, limit: int = BULK_LIMIT, grace_seconds: float = 60
) -> BulkAccepted:
    """What ann accepts at once."""
    return review_bulk.accept_cluster(
        database, tenant, "ann",
        task=cluster.task, reason=cluster.reason, cluster=cluster.cluster, limit=limit, grace_seconds=grace_seconds,
    )  # fmt: skip


def test_a_cluster_is_of_equal_task_reason_and_suggestion(database: Database, tenant: str) -> None:
    """What differs in any of them stands apart; single ones, and those without a suggestion, are no cluster."""
    equal = [in_review(database, tenant) for _ in range(3)]
    for _ in range(2):
        in_review(database, tenant, OTHER)
        in_review(database, tenant, None)
    alone = in_review(database, tenant, reason=FailureReason.TRUNCATED)
    found = clusters(database, tenant)
    assert {label: cluster.waiting for label, cluster in found.items()} == {"billing": 3, "other": 2}
    assert found["billing"].suggestion == SUGGESTED
    of_item = review_bulk.cluster_of(database, tenant, equal[0])
    assert of_item == found["billing"]
    of_single = review_bulk.cluster_of(database, tenant, alone)
    assert of_single is not None
    assert of_single.waiting == 1
    assert review_bulk.clusters(database, [tenant], QueueFilter(reason="truncated")) == []
    with pytest.raises(NotFound):
        review_bulk.cluster_of(database, "default", alone)


def test_accepting_a_cluster_ends_what_nobody_holds(house: House, database: Database, tenant: str) -> None:
    """Each has its own line in the audit and its own answer when the minute is over; what a colleague holds, and what is not
    of the cluster, stays."""
    jobs = [in_review(database, tenant) for _ in range(5)]
    other = in_review(database, tenant, OTHER)
    assert review.claim(database, tenant, "bob", 60, job_id=jobs[2]) is not None
    mine = review.claim(database, tenant, "ann", 60, job_id=jobs[3])
    assert mine is not None
    done = accept(database, tenant, clusters(database, tenant)["billing"])
    free = {*jobs} - {jobs[2]}
    assert (set(done.accepted), done.refused, done.left) == (free, 0, 0)
    assert {pending.job_id for pending in review_queue.pending(database, [tenant], "ann")} == free
    house.run(MINUTE_OVER)
    assert review_upkeep.settle_decisions(database) == 4
    assert {show.show(database, tenant, job_id).state for job_id in free} == {"answered"}
    assert {show.show(database, tenant, job_id).state for job_id in (jobs[2], other)} == {"in_review"}
    assert kinds(house, jobs[0]) == [("decided", "ann"), ("took_effect", "ann")]
    assert house.query("SELECT DISTINCT reviewer FROM answers") == [("ann",)]


def test_a_call_has_a_bound(database: Database, tenant: str) -> None:
    """It accepts no more than asked for and says how many are left; the next call goes on."""
    for _ in range(7):
        in_review(database, tenant)
    cluster = clusters(database, tenant)["billing"]
    first = accept(database, tenant, cluster, limit=5)
    assert (len(first.accepted), first.left) == (5, 2)
    second = accept(database, tenant, cluster)
    assert (len(second.accepted), second.left) == (2, 0)
    assert accept(database, tenant, cluster).accepted == []


def test_a_suggestion_that_does_not_hold_for_its_document_is_left(database: Database, tenant: str) -> None:
    """Each is held to the contract with its own document: one whose evidence does not stand there waits as before."""
    good = in_review(database, tenant)
    wrong = in_review(database, tenant, text="Where is my parcel?")
    done = accept(database, tenant, clusters(database, tenant)["billing"])
    assert (done.accepted, done.refused, done.left) == ([good], 1, 1)
    (line,) = review_queue.queue(database, [tenant]).lines
    assert (line.job_id, line.held) == (wrong, False)


def test_without_a_grace_it_takes_effect_at_once(database: Database, tenant: str) -> None:
    """As from the command line."""
    jobs = [in_review(database, tenant) for _ in range(3)]
    accept(database, tenant, clusters(database, tenant)["billing"], grace_seconds=0)
    assert {show.show(database, tenant, job_id).state for job_id in jobs} == {"answered"}


def test_a_bulk_accept_can_be_taken_back(house: House, database: Database, tenant: str) -> None:
    """All come back to the queue, free for anybody; what somebody else decided does not."""
    jobs = [in_review(database, tenant) for _ in range(3)]
    done = accept(database, tenant, clusters(database, tenant)["billing"])
    assert review_bulk.undo_many(database, tenant, jobs, "bob") == []
    assert review_bulk.undo_many(database, tenant, done.accepted, "ann") == sorted(jobs)
    assert [line.held for line in review_queue.queue(database, [tenant]).lines] == [False] * 3
    assert kinds(house, jobs[0]) == [("decided", "ann"), ("decision_undone", "ann")]
    house.run(MINUTE_OVER)
    assert review_upkeep.settle_decisions(database) == 0


def test_two_at_the_same_cluster_share_it(house: House, database: Database, tenant: str) -> None:
    """Neither gets what the other got, and nothing is left."""
    jobs = {in_review(database, tenant) for _ in range(20)}
    cluster = clusters(database, tenant)["billing"]

    def accept_as(reviewer: str) -> list[UUID]:
        return review_bulk.accept_cluster(
            database, tenant, reviewer, task=cluster.task, reason=cluster.reason, cluster=cluster.cluster
        ).accepted

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(accept_as, ("ann", "bob"))
    assert len(one) + len(other) == len(jobs)
    assert {*one, *other} == jobs
    assert dict(house.query("SELECT reviewer, count(*) FROM reviews GROUP BY reviewer")) == {
        reviewer: len(got) for reviewer, got in (("ann", one), ("bob", other)) if got
    }
