"""Submitting: all or nothing, keyed, streamed. Against the real database, without workers."""

import json
import tracemalloc
from collections.abc import Iterator

import pytest

from jobs import show, submit
from jobs.submit import KeyConflict, SubmitRefused
from schemas.job import JobOptions, JobState
from storage.database import Database
from tasks import UnknownTask
from tests.house import LABELS, House

pytestmark = pytest.mark.usefixtures("clean")
DEFAULTS = {"labels": LABELS}


def lines(count: int) -> list[bytes]:
    """Good lines."""
    return [json.dumps({"text": f"text {number}"}).encode() for number in range(count)]


def batch(database: Database, tenant: str, given: list[bytes], **more: str) -> submit.Submitted:
    """Submit lines as a classify batch."""
    return submit.submit_batch(database, tenant, "classify", iter(given), DEFAULTS, JobOptions(), **more)


def test_a_batch_has_one_job_per_line_in_order(database: Database, tenant: str) -> None:
    """Every line becomes a job that carries its line number, blank lines counted but not submitted."""
    submitted = batch(database, tenant, [*lines(2), b"  \n", *lines(1)])
    assert submitted.total == 3
    assert submitted.batch_id is not None
    views = list(show.results(database, tenant, submitted.batch_id))
    assert [view.line for view in views] == [1, 2, 4]
    assert {view.state for view in views} == {JobState.QUEUED}


def test_a_lines_own_id_comes_back_as_reference(database: Database, tenant: str) -> None:
    """A producer's ``id`` in a line is not part of the document; it is returned with the result."""
    submitted = batch(database, tenant, [b'{"text": "x", "id": "T-1"}', b'{"text": "y", "id": 7}'])
    assert submitted.batch_id is not None
    assert [view.reference for view in show.results(database, tenant, submitted.batch_id)] == ["T-1", "7"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"text": "x"\n', "line 7: is not JSON (column 13"),
        (b"\xff\xfe", "line 7: is not UTF-8"),
        (b'["text"]', "line 7: is not a JSON object"),
        (b'{"text": ""}', "line 7: text: is empty"),
        (b'{"text": "a\\u0000b"}', "line 7: text: holds a NUL character at position 1"),
        (b'{"text": "\\ud800"}', "line 7: text: holds half of a surrogate pair"),
        (b'{"text": "x", "labels": ["one"]}', "line 7: labels: list should have at least 2 items"),
        (b'{"text": "x", "labels": ["a", "a"]}', "stands twice"),
        (
            b'{"text": "x", "tone": "kind"}',
            "line 7: tone: there is no such field; the fields of classify are: text, labels, multi",
        ),
        (b'{"text": "x", "id": [1]}', "line 7: id: give a string"),
        (b"[" * 200_000, "line 7: is not JSON"),
    ],
)
def test_one_wrong_line_refuses_the_batch_by_number(
    house: House, database: Database, tenant: str, line: bytes, words: str
) -> None:
    """Nothing is accepted, and the sentence says which line is wrong and how."""
    given = lines(10)
    given[6] = line
    with pytest.raises(SubmitRefused) as refused:
        batch(database, tenant, given)
    assert words in str(refused.value)
    assert "nothing was submitted" in str(refused.value)
    assert house.query("SELECT count(*) FROM jobs WHERE tenant_id = %s", tenant) == [(0,)]
    assert house.query("SELECT count(*) FROM batches WHERE tenant_id = %s", tenant) == [(0,)]


def test_a_wrong_line_late_in_a_large_batch_takes_all_back(house: House, database: Database, tenant: str) -> None:
    """Chunks written before the wrong line was met are gone too, and several wrong lines are named at once."""
    given = lines(1600)
    given[1500], given[1550] = b"{", b"}"
    with pytest.raises(SubmitRefused) as refused:
        batch(database, tenant, given)
    assert [reason.split(":")[0] for reason in refused.value.reasons[:2]] == ["line 1501", "line 1551"]
    assert house.query("SELECT count(*) FROM jobs WHERE tenant_id = %s", tenant) == [(0,)]


def test_an_empty_batch_is_refused(database: Database, tenant: str) -> None:
    """No lines is a mistake, not a finished batch."""
    with pytest.raises(SubmitRefused, match="holds no lines"):
        batch(database, tenant, [b"\n"])


def test_the_same_key_and_input_is_the_same_batch(database: Database, tenant: str) -> None:
    """Submitting again with the key gives the first batch back and makes no job."""
    first = batch(database, tenant, lines(3), idempotency_key="k")
    again = batch(database, tenant, lines(3), idempotency_key="k")
    assert (again.batch_id, again.repeated) == (first.batch_id, True)
    with pytest.raises(KeyConflict, match="another input"):
        batch(database, tenant, lines(4), idempotency_key="k")


def test_the_same_key_and_input_is_the_same_job(database: Database, tenant: str) -> None:
    """One document with a key: the same job again, and a refusal for another document."""

    def one(text: str) -> submit.Submitted:
        request = {"text": text, "labels": LABELS}
        return submit.submit_one(database, tenant, "classify", request, JobOptions(), idempotency_key="k")

    first = one("x")
    assert one("x") == submit.Submitted("classify", 1, job_id=first.job_id, repeated=True)
    with pytest.raises(KeyConflict):
        one("y")


def test_keys_of_tenants_do_not_meet(database: Database, tenant: str) -> None:
    """Two tenants may use the same key for different inputs."""
    mine = batch(database, tenant, lines(1), idempotency_key="shared")
    theirs = batch(database, "default", lines(2), idempotency_key="shared")
    assert mine.batch_id != theirs.batch_id


def test_unknown_task_tenant_and_prompt_are_named(database: Database, tenant: str) -> None:
    """Each mistake in the address of the work is one sentence."""
    with pytest.raises(UnknownTask, match="choose one of: classify, extract, summarize"):
        submit.submit_one(database, tenant, "translate", {"text": "x"}, JobOptions())
    with pytest.raises(SubmitRefused, match="no tenant 'nobody'"):
        submit.submit_one(database, "nobody", "summarize", {"text": "x"}, JobOptions())
    with pytest.raises(SubmitRefused, match="no prompt 'v99'"):
        submit.submit_one(database, tenant, "summarize", {"text": "x"}, JobOptions(prompt_version="v99"))


def test_an_unsupported_schema_is_refused_with_its_path(database: Database, tenant: str) -> None:
    """A producer's schema is compiled before anything is written."""
    schema = {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}}
    with pytest.raises(SubmitRefused, match=r"properties\.a"):
        submit.submit_one(database, tenant, "extract", {"text": "x", "schema": schema}, JobOptions())


def test_a_text_over_the_limit_is_refused(database: Database, tenant: str) -> None:
    """One character more than the stated limit is too much."""
    with pytest.raises(SubmitRefused, match="at most 1000000 characters"):
        submit.submit_one(database, tenant, "summarize", {"text": "x" * 1_000_001}, JobOptions())


def test_a_batch_is_streamed(database: Database, tenant: str) -> None:
    """40 MB of lines pass through without being held: the peak stays under a quarter of that."""
    text = "word " * 4000

    def many() -> Iterator[bytes]:
        for number in range(2000):
            yield json.dumps({"text": f"{number} {text}"}).encode()

    tracemalloc.start()
    submit.submit_batch(database, tenant, "classify", many(), DEFAULTS, JobOptions())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40_000_000
