"""Batches arrive in pieces: nothing is dispatched before the whole is there, and an upload that broke off is continued."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy.exc import DBAPIError

from cli.progress import BatchProgress, line_of
from jobs import show, upload
from jobs.contract import KeyConflict, SubmitRefused
from jobs.jsonl import CHUNK_LINES
from jobs.submit import Submitted, submit_batch, submit_one
from schemas.job import FallbackPolicy, JobOptions, OnOutage, Priority
from storage.database import Database
from tests.house import LABELS, House, publish_all, run_assay

pytestmark = pytest.mark.usefixtures("clean")
FIELDS = {"labels": LABELS}
WHOLE = CHUNK_LINES * 2 + 500
"""Lines of an input in these tests: two pieces and a half."""


class Broke(Exception):
    """The producer's connection broke."""


def lines(count: int = WHOLE, **other: str) -> list[bytes]:
    """Good lines; ``line_7="y"`` puts another text in line 7."""
    return [
        json.dumps({"text": other.get(f"line_{number}", f"text {number}")}).encode() for number in range(1, count + 1)
    ]


def send(
    database: Database,
    tenant: str,
    given: list[bytes],
    *,
    key: str | None = "k",
    options: JobOptions | None = None,
    at: tuple[int, Callable[[], object]] | None = None,
) -> Submitted:
    """Submit lines as a batch; ``at`` does something else before a line is sent, by its number from 1."""

    def stream() -> Iterator[bytes]:
        for number, line in enumerate(given, start=1):
            if at is not None and at[0] == number:
                at[1]()
            yield line

    return submit_batch(database, tenant, "classify", stream(), FIELDS, options or JobOptions(), idempotency_key=key)


def break_off(
    database: Database,
    tenant: str,
    given: list[bytes],
    *,
    key: str | None = "k",
    options: JobOptions | None = None,
    at: int = WHOLE,
) -> None:
    """Begin an upload that breaks off before this line."""

    def broke() -> None:
        raise Broke

    with pytest.raises(Broke):
        send(database, tenant, given, key=key, options=options, at=(at, broke))


def count(house: House, table: str, tenant: str) -> int:
    """A tenant's rows in a table."""
    return int(house.query(f"SELECT count(*) FROM {table} WHERE tenant_id = %s", tenant)[0][0])


def texts(house: House, submitted: Submitted) -> list[str]:
    """The documents of a batch, by line."""
    rows = house.query(
        "SELECT i.request FROM jobs j JOIN inputs i ON i.job_id = j.id WHERE j.batch_id = %s ORDER BY j.line",
        submitted.batch_id,
    )
    return [request["text"] for (request,) in rows]


def texts_of(given: list[bytes]) -> list[str]:
    """The documents of an input."""
    return [json.loads(line)["text"] for line in given]


def test_an_upload_is_continued_where_it_broke_off(house: House, database: Database, tenant: str) -> None:
    """What arrived waits without being a job; the same lines with the same key add the rest, and all become jobs in order."""
    break_off(database, tenant, lines())
    assert (count(house, "jobs", tenant), count(house, "arrivals", tenant)) == (0, CHUNK_LINES * 2)
    assert publish_all(database) == []
    submitted = send(database, tenant, lines())
    assert (submitted.total, submitted.resumed_lines, submitted.repeated) == (WHOLE, CHUNK_LINES * 2, False)
    assert texts(house, submitted) == texts_of(lines())
    assert [count(house, table, tenant) for table in ("jobs", "inputs", "arrivals", "batches")] == [WHOLE, WHOLE, 0, 1]
    again = send(database, tenant, lines())
    assert (again.batch_id, again.repeated, again.resumed_lines) == (submitted.batch_id, True, 0)


def test_what_is_chosen_for_a_batch_stands_in_every_job(house: House, database: Database, tenant: str) -> None:
    """Options, an estimated cost each, nothing to wait for, and the producer's own reference of the line."""
    options = JobOptions(
        fallback=FallbackPolicy.PERSON, priority=Priority.LOW, on_outage=OnOutage.RULES, prompt_version="v1"
    )
    given = [b'{"text": "short", "id": "a"}', json.dumps({"text": "long " * 1000, "id": "b"}).encode()]
    submitted = send(database, tenant, given, options=options)
    rows = house.query(
        "SELECT fallback, priority, on_outage, prompt_version, run_at, reference, cost FROM jobs WHERE batch_id = %s"
        " ORDER BY line",
        submitted.batch_id,
    )
    assert [row[:6] for row in rows] == [("person", -1, "rules", "v1", None, name) for name in "ab"]
    assert 0 < rows[0][6] < rows[1][6]


def test_another_line_is_a_conflict_that_names_it(house: House, database: Database, tenant: str) -> None:
    """What arrived stays as it is, and the first input can still be continued."""
    break_off(database, tenant, lines())
    with pytest.raises(KeyConflict, match=r"'k' was used for batch .* with another line 1500;"):
        send(database, tenant, lines(line_1500="another"))
    assert texts(house, send(database, tenant, lines())) == texts_of(lines())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lines(CHUNK_LINES), "of which 2,000 lines have arrived, not 1,000"),
        ([*lines()[:700], b"", *lines()[701:2000]], "of which 2,000 lines have arrived, not 1,999"),
        ([b"\n"], "holds no lines"),
    ],
)
def test_fewer_lines_than_arrived_are_refused(
    house: House, database: Database, tenant: str, given: list[bytes], words: str
) -> None:
    """An input that ends early, lacks a line or is empty, as of a producer that broke, neither closes nor drops the batch."""
    break_off(database, tenant, lines())
    with pytest.raises(SubmitRefused, match=words):
        send(database, tenant, given)
    assert count(house, "jobs", tenant) == 0
    assert send(database, tenant, lines()).resumed_lines == CHUNK_LINES * 2


def test_other_options_fields_or_task_are_a_conflict(database: Database, tenant: str) -> None:
    """The key stands for the whole request, from its beginning and before a single line was compared."""
    break_off(database, tenant, lines(), at=1)
    with pytest.raises(KeyConflict, match="with another task, other fields or other options"):
        send(database, tenant, lines(), options=JobOptions(priority=Priority.HIGH))
    for task, fields in (("classify", {"labels": ["a", "b"]}), ("summarize", {})):
        with pytest.raises(KeyConflict, match="with another task, other fields or other options"):
            submit_batch(database, tenant, task, lines(), fields, JobOptions(), idempotency_key="k")


def test_a_wrong_line_drops_the_upload_and_frees_the_key(house: House, database: Database, tenant: str) -> None:
    """Earlier lines are dropped too, which is said; then the corrected input can use the key."""
    break_off(database, tenant, lines())
    with pytest.raises(SubmitRefused) as refused:
        send(database, tenant, [*lines(), b'{"text": ""}'])
    assert refused.value.reasons[0].startswith(f"line {WHOLE + 1}: text: is empty")
    assert refused.value.reasons[-1].startswith("the 2,000 lines that had arrived earlier are dropped")
    assert [count(house, table, tenant) for table in ("jobs", "inputs", "arrivals", "batches")] == [0, 0, 0, 0]
    assert send(database, tenant, lines()).resumed_lines == 0


def test_no_transaction_is_open_while_the_producer_takes_its_time(
    house: House, database: Database, tenant: str
) -> None:
    """Between two pieces the database holds neither a transaction nor a lock for the upload."""
    seen = []

    def look() -> None:
        seen.append(house.query("SELECT state FROM pg_stat_activity WHERE usename = 'assay_app' AND state <> 'idle'"))

    send(database, tenant, lines(), at=(CHUNK_LINES * 2 + 1, look))
    assert seen == [[]]


def test_a_twin_that_is_faster_closes_the_batch(house: House, database: Database, tenant: str) -> None:
    """While one upload is under way a second one of the same input gets to the end: both report one batch, made once."""
    twin: list[Submitted] = []
    first = send(
        database, tenant, lines(), at=(CHUNK_LINES + 500, lambda: twin.append(send(database, tenant, lines())))
    )
    assert (twin[0].resumed_lines, twin[0].repeated) == (CHUNK_LINES, False)
    assert (first.batch_id, first.repeated) == (twin[0].batch_id, True)
    assert texts(house, first) == texts_of(lines())


@pytest.mark.parametrize("differs", ["line_1800", "line_2400"])
def test_a_twin_with_another_input_does_not_mix_in(house: House, database: Database, tenant: str, differs: str) -> None:
    """The faster one closes the batch with its own lines only; the slower one is a conflict."""
    other = lines(WHOLE, **{differs: "another"})
    twin: list[Submitted] = []
    with pytest.raises(KeyConflict):
        send(database, tenant, lines(), at=(CHUNK_LINES + 500, lambda: twin.append(send(database, tenant, other))))
    assert texts(house, twin[0]) == texts_of(other)
    assert count(house, "jobs", tenant) == WHOLE


def test_a_twin_with_a_wrong_line_drops_the_batch_for_both(house: House, database: Database, tenant: str) -> None:
    """The other upload is told, and closes nothing that lacks lines."""

    def twin() -> None:
        with pytest.raises(SubmitRefused, match="line 2: is not JSON"):
            send(database, tenant, [*lines(1), b"{"])

    with pytest.raises(SubmitRefused, match="dropped in the meantime"):
        send(database, tenant, lines(), at=(CHUNK_LINES + 500, twin))
    assert [count(house, table, tenant) for table in ("jobs", "inputs", "arrivals", "batches")] == [0, 0, 0, 0]


@pytest.mark.parametrize("same", [True, False])
def test_two_uploads_at_once_make_one_batch(house: House, database: Database, tenant: str, same: bool) -> None:
    """Two threads send with one key, step by step together. Same input: one batch, every line once. Different inputs: the
    batch of one of them, and a conflict for the other."""
    together = threading.Barrier(2)
    inputs = [lines(), lines() if same else lines(line_1="another", line_1200="another", line_2500="another")]
    outcomes: dict[int, Submitted | Exception] = {}

    def upload_one(which: int) -> None:
        def stream() -> Iterator[bytes]:
            for number, line in enumerate(inputs[which]):
                if number % CHUNK_LINES in {0, CHUNK_LINES // 2} and not together.broken:
                    with suppress(threading.BrokenBarrierError):  # the other one is done
                        together.wait(10)
                yield line

        try:
            outcomes[which] = submit_batch(
                database, tenant, "classify", stream(), FIELDS, JobOptions(), idempotency_key="k"
            )
        except KeyConflict as conflict:
            outcomes[which] = conflict
        finally:
            together.abort()

    threads = [threading.Thread(target=upload_one, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = {which: outcome for which, outcome in outcomes.items() if isinstance(outcome, Submitted)}
    assert len(done) == (2 if same else 1)
    assert len({outcome.batch_id for outcome in done.values()}) == 1
    assert sum(not outcome.repeated for outcome in done.values()) == 1
    for which, outcome in done.items():
        assert texts(house, outcome) == texts_of(inputs[which])
    assert [count(house, table, tenant) for table in ("jobs", "inputs", "batches")] == [WHOLE, WHOLE, 1]


def test_an_upload_without_a_key_is_dropped_as_soon_as_it_breaks_off(
    house: House, database: Database, tenant: str
) -> None:
    """Nothing could continue it."""
    break_off(database, tenant, lines(), key=None)
    assert [count(house, table, tenant) for table in ("batches", "arrivals", "inputs")] == [0, 0, 0]


def test_an_abandoned_upload_is_dropped_by_housekeeping(house: House, database: Database, tenant: str) -> None:
    """Nothing came for a day: its lines and inputs go. An upload that goes on stays, however long ago it was begun, and so
    does every batch that is whole."""
    whole = send(database, tenant, lines(3), key="whole")
    for key in ("left", "left too", "going on"):
        break_off(database, tenant, lines(), key=key)
    house.run("UPDATE batches SET created_at = now() - interval '3 days', arrived_at = now() - interval '25 hours'")
    break_off(database, tenant, lines(), key="going on")
    assert upload.drop_abandoned(database) == 2
    assert [count(house, table, tenant) for table in ("batches", "arrivals", "jobs", "inputs")] == [
        2, CHUNK_LINES * 2, 3, CHUNK_LINES * 2 + 3,
    ]  # fmt: skip
    assert upload.drop_abandoned(database) == 0
    assert send(database, tenant, lines(), key="going on").resumed_lines == CHUNK_LINES * 2
    assert send(database, tenant, lines(), key="left").resumed_lines == 0
    assert texts(house, whole) == texts_of(lines(3))


def test_the_input_of_a_job_stays(database: Database, tenant: str) -> None:
    """Lines of an upload can be deleted with their inputs; once they are jobs, the database refuses."""
    submitted = send(database, tenant, lines(2))
    assert submitted.batch_id is not None
    assert not upload.drop(database, tenant, submitted.batch_id)
    with pytest.raises(DBAPIError, match="the input of a job stays"), database.tenant(tenant) as connection:
        connection.exec_driver_sql("DELETE FROM inputs")
    with pytest.raises(DBAPIError, match="foreign key"), database.tenant(tenant) as connection:
        connection.exec_driver_sql("DELETE FROM batches")


def test_a_span_until_the_deadline_repeats(house: House, database: Database, tenant: str) -> None:
    """Submitted again with the same key and the same span, it is the same request, and the first deadline stays."""
    options = JobOptions(deadline=timedelta(minutes=30))
    request = {"text": "x", "labels": LABELS}
    one = submit_one(database, tenant, "classify", request, options, idempotency_key="k")
    batch = send(database, tenant, lines(2), options=options)
    first = house.query("SELECT id, deadline FROM jobs WHERE tenant_id = %s ORDER BY id", tenant)
    assert submit_one(database, tenant, "classify", request, options, idempotency_key="k").job_id == one.job_id
    assert send(database, tenant, lines(2), options=options).batch_id == batch.batch_id
    assert house.query("SELECT id, deadline FROM jobs WHERE tenant_id = %s ORDER BY id", tenant) == first
    assert house.query("SELECT DISTINCT deadline - created_at FROM jobs WHERE tenant_id = %s", tenant) == [
        (timedelta(minutes=30),)
    ]
    with pytest.raises(KeyConflict):
        submit_one(
            database, tenant, "classify", request, JobOptions(deadline=timedelta(minutes=31)), idempotency_key="k"
        )


def test_an_open_batch_says_how_far_it_is(house: House, database: Database, tenant: str) -> None:
    """It is not over with none of none done: progress, `assay watch` and `assay results` say how many lines came so far."""
    break_off(database, tenant, lines())
    batch_id = house.query("SELECT id FROM batches WHERE tenant_id = %s", tenant)[0][0]
    progress = show.progress(database, tenant, batch_id)
    assert (progress.is_receiving, progress.is_over, progress.total) == (True, False, CHUNK_LINES * 2)
    standing = BatchProgress().standing(progress, 0)
    assert line_of(standing) == "classify still being received: 2,000 lines so far"
    assert (standing.as_dict()["receiving"], standing.as_dict()["seconds_left"]) == (True, None)
    done = run_assay(house, "results", str(batch_id), "--tenant", tenant)
    assert (done.returncode, done.stdout) == (0, "")
    assert "is still being received: 2,000 lines so far" in done.stderr


def test_an_open_batch_can_be_cancelled(house: House, database: Database, tenant: str) -> None:
    """`assay cancel` drops what has arrived and says so; the key is free, and another tenant finds no such batch."""
    break_off(database, tenant, lines())
    batch_id = house.query("SELECT id FROM batches WHERE tenant_id = %s", tenant)[0][0]
    assert run_assay(house, "cancel", str(batch_id)).returncode == 2
    done = run_assay(house, "cancel", str(batch_id), "--tenant", tenant)
    assert done.stdout == "The batch was still being received: it is dropped, and its idempotency key is free.\n"
    assert [count(house, table, tenant) for table in ("jobs", "inputs", "arrivals", "batches")] == [0, 0, 0, 0]
    assert send(database, tenant, lines(10)).total == 10


def test_the_command_says_how_many_lines_were_there(house: House, database: Database, tenant: str) -> None:
    """`assay submit` continues an upload of the same lines, and passes on class and outage policy."""
    options = JobOptions(deadline=timedelta(hours=1), priority=Priority.HIGH, on_outage=OnOutage.PERSON)
    break_off(database, tenant, lines(), options=options)
    arguments = ["submit", "classify", "--jsonl", "-", "--tenant", tenant, "--idempotency-key", "k", "--deadline", "1h",
                 "--priority", "high", "--on-outage", "person", "--field", f"labels={json.dumps(LABELS)}"]  # fmt: skip
    done = run_assay(house, *arguments, stdin=b"\n".join(lines()))
    assert done.returncode == 0, done.stderr
    assert f"{WHOLE:,} jobs (2,000 lines were there already)" in done.stdout
    assert house.query("SELECT DISTINCT priority, on_outage FROM jobs WHERE tenant_id = %s", tenant) == [(1, "person")]
    again = run_assay(house, *arguments, "--json", stdin=b"\n".join(lines()))
    assert json.loads(again.stdout)["repeated"] is True
