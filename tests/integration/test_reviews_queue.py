"""The queue of the desk: its order, its parts, its figures, and how little of it a page reads."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from jobs import review, review_queue, review_rates, submit
from jobs.cancel import NotFound
from jobs.review_queue import BadCursor
from jobs.review_rates import RateRefused
from jobs.tenancy import create_tenant
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from schemas.job import FallbackPolicy, JobOptions, Priority
from schemas.review import EVERYTHING, QueueFilter
from storage import leases, reviews
from storage import review_queue as stored
from storage.database import Database
from tests.house import House
from tests.integration.review_scenes import OTHER, SUGGESTED, in_review

pytestmark = pytest.mark.usefixtures("clean")

SOON, LATER = datetime(2031, 1, 1, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)


def options(*, deadline: datetime | None = None, priority: Priority = Priority.NORMAL) -> JobOptions:
    """A job's options."""
    return JobOptions(deadline=deadline, priority=priority, fallback=FallbackPolicy.PERSON)


def ids(page: review_queue.QueuePage) -> list[UUID]:
    """The jobs of a page."""
    return [line.job_id for line in page.lines]


@pytest.fixture
def second_tenant(database: Database) -> str:
    """One more tenant."""
    tenant_id = f"t{new_id().hex[-12:]}"
    create_tenant(database, tenant_id, "of one test")
    return tenant_id


def test_the_most_valuable_comes_first(database: Database, tenant: str) -> None:
    """The nearest deadline; then the class; then what the machine knows least of; then the longest waiting."""
    known = in_review(database, tenant, reason=FailureReason.UNREACHABLE)
    later_known = in_review(database, tenant, reason=FailureReason.UNREACHABLE)
    defeated = in_review(database, tenant, reason=FailureReason.UNGROUNDED)
    low = in_review(database, tenant, None, options=options(priority=Priority.LOW))
    nothing = in_review(database, tenant, None, reason=FailureReason.UNREACHABLE)
    suspicious = in_review(database, tenant, None, reason=FailureReason.QUARANTINED)
    high = in_review(database, tenant, options=options(priority=Priority.HIGH))
    later = in_review(database, tenant, options=options(deadline=LATER))
    soon = in_review(database, tenant, options=options(deadline=SOON, priority=Priority.LOW))
    in_order = [soon, later, high, suspicious, nothing, defeated, known, later_known, low]
    assert ids(review_queue.queue(database, [tenant])) == in_order
    taken: list[UUID] = []
    while (item := review_queue.claim_next(database, [tenant], f"person {len(taken)}", 60)) is not None:
        taken.append(item.claimed.job_id)
    assert taken == in_order


def test_what_is_at_stake_moves_a_task_ahead(database: Database, tenant: str) -> None:
    """An operator's word on a task changes the place of what waits and of what comes; the class still counts for more."""
    before, high = in_review(database, tenant), in_review(database, tenant, options=options(priority=Priority.HIGH))
    summary = _summary_in_review(database, tenant)
    review_rates.set_rate(database, tenant, "summarize", 0, stakes=7)
    comes = _summary_in_review(database, tenant)
    assert ids(review_queue.queue(database, [tenant])) == [high, summary, comes, before]
    review_rates.set_rate(database, tenant, "summarize", 0.5)
    assert [(rate.task, rate.rate, rate.stakes) for rate in review_rates.rates(database, tenant)] == [
        ("summarize", 0.5, 7)
    ]


@pytest.mark.parametrize(("rate", "stakes"), [(-0.1, None), (1.5, None), (float("nan"), None), (0.1, 10), (0.1, -1)])
def test_rates_and_stakes_have_bounds(database: Database, tenant: str, rate: float, stakes: int | None) -> None:
    """A figure out of its range is refused in a sentence, and nothing is set."""
    with pytest.raises(RateRefused, match="give 0 to"):
        review_rates.set_rate(database, tenant, "classify", rate, stakes=stakes)
    assert review_rates.rates(database, tenant) == []


def test_parts_of_the_queue(house: House, database: Database, tenant: str) -> None:
    """Each filter leaves what it says, alone and together, in lists and for claims."""
    plain = in_review(database, tenant)
    soon = in_review(database, tenant, options=options(deadline=SOON))
    late = in_review(database, tenant, options=options(deadline=LATER), reason=FailureReason.TRUNCATED)
    summary = _summary_in_review(database, tenant)
    house.run(f"UPDATE reviews SET created_at = now() - interval '2 days' WHERE job_id IN ('{soon}', '{plain}')")
    parts: list[tuple[QueueFilter, set[UUID]]] = [
        (EVERYTHING, {plain, soon, late, summary}),
        (QueueFilter(task="summarize"), {summary}),
        (QueueFilter(reason="truncated"), {late}),
        (QueueFilter(older_than=timedelta(days=1)), {plain, soon}),
        (QueueFilter(due_before=LATER), {soon}),
        (QueueFilter(task="classify", reason="refused", older_than=timedelta(days=1), due_before=LATER), {soon}),
        (QueueFilter(task="summarize", reason="truncated"), set()),
    ]
    for only, expected in parts:
        assert set(ids(review_queue.queue(database, [tenant], only))) == expected, only
        item = review_queue.claim_next(database, [tenant], "ann", 60, only)
        assert ({item.claimed.job_id} if item is not None else set()) <= expected
        assert (item is None) == (not expected)


def test_pages_of_several_tenants(database: Database, tenant: str, second_tenant: str) -> None:
    """The tenants' lines are merged by value, and page by page each comes once, whatever is claimed or comes in between."""
    tenants = [tenant, second_tenant]
    deadlines = [SOON + timedelta(days=day) if day < 4 else None for day in range(8)]
    expected = [in_review(database, tenants[at % 2], options=options(deadline=due)) for at, due in enumerate(deadlines)]
    seen: list[UUID] = []
    cursor = None
    while True:
        page = review_queue.queue(database, tenants, cursor=cursor, limit=3)
        seen += ids(page)
        review_queue.claim_next(database, tenants, f"person {len(seen)}", 60)
        in_review(database, tenant, options=options(deadline=SOON - timedelta(days=1)))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == expected


def test_claims_come_from_the_tenant_with_the_most_valuable(
    database: Database, tenant: str, second_tenant: str
) -> None:
    """Whoever works for several tenants is given the most valuable of all; of a tenant that is not theirs, nothing."""
    in_review(database, tenant)
    soon = in_review(database, second_tenant, options=options(deadline=SOON))
    item = review_queue.claim_next(database, [tenant, second_tenant], "ann", 60)
    assert item is not None
    assert (item.claimed.tenant_id, item.claimed.job_id) == (second_tenant, soon)
    assert review_queue.tenant_of(database, [tenant, second_tenant], soon) == second_tenant
    with pytest.raises(NotFound):
        review_queue.tenant_of(database, [tenant], soon)
    assert review_queue.queue(database, []).lines == []
    assert review_queue.claim_next(database, [], "ann", 60) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "bm9uc2Vuc2U",
        "W10",
        "WzEsMiwzLDRd",
        "e30",
        "W251bGwsOTk5OTksIjIwMjYtMDEtMDFUMDA6MDArMDA6MDAiLCJ4Il0",
    ],
)
def test_a_cursor_that_is_none_is_refused(database: Database, tenant: str, cursor: str) -> None:
    """Whatever a client sends in its place is a sentence, not an error of the database."""
    with pytest.raises(BadCursor):
        review_queue.queue(database, [tenant], cursor=cursor)


def test_what_others_hold_and_counts(house: House, database: Database, tenant: str) -> None:
    """Who holds what until when; by task and reason how many wait and are held, since when, and the next deadline. A claim
    that has ended is nobody's."""
    first, second = in_review(database, tenant), in_review(database, tenant, options=options(deadline=SOON))
    in_review(database, tenant, reason=FailureReason.TRUNCATED)
    for reviewer, job_id, seconds in (("ann", first, 900), ("bob", second, 60)):
        assert review.claim(database, tenant, reviewer, seconds, job_id=job_id) is not None
    held = review_queue.held(database, [tenant])
    assert [(line.job_id, line.reviewer, line.held) for line in held] == [(second, "bob", True), (first, "ann", True)]
    counts = {count.reason: count for count in review_queue.counts(database, [tenant])}
    assert {reason: (count.waiting, count.held) for reason, count in counts.items()} == {
        "refused": (2, 2), "truncated": (1, 0),
    }  # fmt: skip
    assert (counts["refused"].next_deadline, counts["truncated"].next_deadline) == (SOON, None)
    house.run("UPDATE reviews SET lease_until = now() - interval '1 second' WHERE reviewer = 'bob'")
    assert [line.reviewer for line in review_queue.held(database, [tenant])] == ["ann"]
    assert {line.job_id: line.reviewer for line in review_queue.queue(database, [tenant]).lines}[second] is None


def test_a_job_that_comes_back_begins_anew(house: House, database: Database, tenant: str) -> None:
    """Rejected, retried and with a person again: it waits since now, without the note of the first time."""
    job_id = in_review(database, tenant)
    review.claim(database, tenant, "ann", 60)
    review.decide(database, tenant, job_id, "ann", review.Decision.REJECT, note="hopeless")
    house.run("UPDATE reviews SET created_at = now() - interval '9 days'; UPDATE jobs SET state = 'running', worker_id = id,"
              " finished_at = NULL, lease_until = now() + interval '1 minute'")  # fmt: skip
    with database.tenant(tenant) as connection:
        fence = connection.exec_driver_sql("SELECT fence FROM jobs").scalar_one()
        claim = leases.adopt(connection, job_id, fence, 60)
        assert claim is not None
        failure = Failure(reason=FailureReason.TRUNCATED, detail="again")
        assert leases.conclude_in_review(connection, claim, failure, OTHER)
    (line,) = review_queue.queue(database, [tenant], QueueFilter(reason="truncated")).lines
    assert line.created_at > datetime.now(UTC) - timedelta(days=1)
    assert house.query("SELECT note, decision, suggestion->'labels'->>0 FROM reviews") == [(None, None, "other")]


# A hundred thousand

MANY = 100_000
_FILL = """
SET session_replication_role = replica;
INSERT INTO jobs (id, tenant_id, task, state, fallback, priority)
SELECT gen_random_uuid(), '{tenant}', 'classify', 'in_review', 'person', 0 FROM generate_series(1, {many});
INSERT INTO inputs (job_id, tenant_id, request) SELECT id, tenant_id, '{request}' FROM jobs;
INSERT INTO reviews (job_id, tenant_id, task, reason, detail, suggestion, created_at, due_at, rank, cluster)
SELECT id, tenant_id, task, CASE WHEN row_number() OVER (ORDER BY id) % 1000 = 0 THEN 'truncated' ELSE 'refused' END, 'x',
       '{suggestion}', now() - make_interval(secs => row_number() OVER (ORDER BY id)),
       CASE WHEN get_byte(uuid_send(id), 0) < 32 THEN now() + make_interval(mins => get_byte(uuid_send(id), 1))
            ELSE '9999-12-31 00:00+00'
       END, 1000 + get_byte(uuid_send(id), 2), md5(get_byte(uuid_send(id), 3)::text)
FROM jobs;
SET session_replication_role = origin;
ANALYZE reviews, jobs
"""


@pytest.fixture
def many(house: House, database: Database, tenant: str) -> str:
    """A tenant with a hundred thousand reviews, none of them claimed."""
    request = json.dumps({"text": "Please refund the invoice.", "labels": ["billing", "other"]})
    house.run(_FILL.format(tenant=tenant, many=MANY, request=request, suggestion=json.dumps(SUGGESTED)))
    return tenant


def test_a_page_of_a_long_queue_reads_a_page(house: House, database: Database, many: str) -> None:
    """With 100,000 waiting, the first page, one from the middle and a claim each read some tens of rows through the index of
    the order, and sort nothing; so does the page of a reason that one in a thousand has."""
    middle = review_queue.queue(database, [many], limit=MANY // 2)
    assert len({line.job_id for line in middle.lines}) == MANY // 2
    after = review_queue._place(middle.next_cursor or "")
    for only in (EVERYTHING, QueueFilter(task="classify"), QueueFilter(reason="truncated")):
        for place in (None, after):
            plan = _plan_of(database, many, only, place)
            assert plan["rows"] <= 100, plan
            assert plan["indexes"] <= {"reviews_by_value", "reviews_by_cluster"}, plan
            assert not plan["kinds"] & {"Sort", "Seq Scan", "Incremental Sort"} or only.reason, plan
    assert _rows_read_by_claim(database, many) <= 10


def test_people_at_a_long_queue_never_get_the_same(database: Database, many: str) -> None:
    """Thirty claims one after the other, and none twice."""
    items = [review_queue.claim_next(database, [many], f"person {at}", 60) for at in range(30)]
    assert len({item.claimed.job_id for item in items if item is not None}) == 30


def _plan_of(database: Database, tenant: str, only: QueueFilter, place: Any) -> dict[str, Any]:
    """What the listing of this part reads: rows out of scans, indexes, kinds of nodes."""
    limits, parameters = stored.limits_of(only)
    if place is not None:
        limits += stored._AFTER
        parameters |= {"after_due": place.due,
                       "after_rank": place.rank, "after_created": place.created_at, "after_job": place.job_id}  # fmt: skip
    statement = stored._LIST.format(limits=limits)
    with database.tenant(tenant) as connection:
        (plan,) = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", {"limit": 50, **parameters}
        ).scalar_one()
    nodes = list(_nodes(plan["Plan"]))
    scans = [node for node in nodes if "Scan" in node["Node Type"]]
    return {
        "rows": sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans),
        "indexes": {node["Index Name"] for node in scans if "Index Name" in node},
        "kinds": {node["Node Type"] for node in nodes},
    }


def _nodes(node: dict[str, Any]) -> Any:
    yield node
    for below in node.get("Plans", []):
        yield from _nodes(below)


def _rows_read_by_claim(database: Database, tenant: str) -> int:
    """Rows of reviews that a claim fetches, as the server counts them."""
    counted = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'reviews'"
    with database.tenant(tenant) as connection:
        before = int(connection.exec_driver_sql(counted).scalar_one())
        assert reviews.claim(connection, "counted", 60) is not None
        return int(connection.exec_driver_sql(counted).scalar_one()) - before


def _summary_in_review(database: Database, tenant: str) -> UUID:
    """A job of another task in review."""
    made = submit.submit_one(database, tenant, "summarize", {"text": "A text to shorten."}, JobOptions())
    assert made.job_id is not None
    with database.tenant(tenant) as connection:
        claim = leases.claim(connection, made.job_id, new_id(), 30)
        assert claim is not None
        failure = Failure(reason=FailureReason.REFUSED, detail="declined")
        suggestion = {"outcome": "summary", "summary": "x", "key_points": [{"point": "a", "quote": "text"}]}
        assert leases.conclude_in_review(connection, claim, failure, suggestion)
    return made.job_id
