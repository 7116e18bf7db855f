"""A short run of the chaos suite: a few faults, small batches, real processes and real signals. `make chaos` runs them all."""

from collections.abc import Iterator

import pytest

from tests.chaos import report
from tests.chaos.audit import audit
from tests.chaos.books import read_books
from tests.chaos.faults import all_faults
from tests.chaos.run import Ground, Result, Scenario, alone, ground, mixes
from tests.chaos.stage import SHORT
from tests.chaos.windows import Reservation

JOBS = 60
SEED = 20261122
FAULTS = [
    "kill -9 at begun",
    "kill -9 at concluding",
    "kill -9 at publishing",
    "frozen at concluding",
    "late twin",
    "dispatcher killed",
    "broker FLUSHALL",
    "messages duplicated and reordered",
    "postgres crashed",
    "provider: connections dropped",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Servers and two worker processes of this module's own: they are killed, frozen and started again."""
    root = tmp_path_factory.mktemp("chaos")
    with ground(root, workers=2, periods=SHORT, batch_seconds=1.5) as place:
        yield place


@pytest.mark.parametrize("name", FAULTS)
def test_every_job_lands_once_under_a_fault(place: Ground, name: str) -> None:
    """In the middle of a batch the fault happens; all jobs land, each once, the invoice agrees and nothing is left."""
    result = place.run(alone(all_faults()[name], SEED, JOBS))
    assert not result.problems, _story(place, result)


def test_every_job_lands_once_under_a_mix_of_faults(place: Ground) -> None:
    """Several faults, overlapping as the seed has it, and the same holds."""
    (mix,) = mixes(list(all_faults().values()), 1, SEED, JOBS)
    result = place.run(mix)
    assert not result.problems, _story(place, result)


def test_a_seed_gives_the_same_schedule() -> None:
    """The same seed chooses the same faults at the same moments with the same dice; another one does not."""
    faults = list(all_faults().values())
    assert mixes(faults, 20, 1, JOBS) == mixes(faults, 20, 1, JOBS)
    assert mixes(faults, 20, 1, JOBS) != mixes(faults, 20, 2, JOBS)


DAMAGE = {
    "job that did not land": (
        # Not due, and below a lease that lasts: the workers are there, and would put it right before anybody looks.
        "UPDATE jobs SET state = 'queued', answered_by = NULL, run_at = now() + interval '1 hour'"
        " WHERE id = (SELECT min(id::text) FROM jobs)::uuid",
        "1 jobs did not land",
    ),
    "job that is gone": (
        "DELETE FROM jobs WHERE id = (SELECT min(id::text) FROM jobs)::uuid",
        "24 jobs were submitted and 23 are there",
    ),
    "lease that is left": (
        "UPDATE jobs SET state = 'running', answered_by = NULL, lease_until = now() + interval '1 hour'"
        " WHERE id = (SELECT min(id::text) FROM jobs)::uuid",
        "1 leases are left",
    ),
    "second accepted attempt": (
        'INSERT INTO attempts SELECT (jsonb_populate_record(attempts, \'{"number": 99, "request_id": null}\')).*'
        " FROM attempts LIMIT 1",
        "1 jobs were concluded more than once",
    ),
    "answer by rules beside the model's": (
        "INSERT INTO events (job_id, tenant_id, kind, actor) SELECT id, tenant_id, 'answered_by_rules', 'a twin'"
        " FROM jobs LIMIT 1",
        "1 jobs were concluded more than once",
    ),
    "answer that is gone": (
        "DELETE FROM answers WHERE job_id = (SELECT min(job_id::text) FROM answers)::uuid",
        "1 jobs' states and answers disagree",
    ),
    "answer of a rejected attempt": (
        "UPDATE attempts SET outcome = 'rejected' WHERE job_id = (SELECT min(job_id::text) FROM answers)::uuid",
        "1 model answers come from no accepted attempt",
    ),
    "call without an end": (
        "UPDATE attempts SET outcome = 'open', settled_at = NULL"
        " WHERE job_id = (SELECT min(job_id::text) FROM answers)::uuid",
        "1 attempts are still open",
    ),
    "tokens that differ": (
        "UPDATE attempts SET output_tokens = output_tokens + 1 WHERE job_id = (SELECT min(job_id::text) FROM jobs"
        " JOIN attempts ON job_id = id)::uuid",
        "1 attempts have other tokens than the invoice",
    ),
    "call that nobody recorded": (
        "DELETE FROM attempts WHERE job_id = (SELECT min(job_id::text) FROM attempts)::uuid",
        "1 calls are on the invoice alone",
    ),
    "call that never was": (
        "UPDATE attempts SET request_id = 'req_invented' WHERE job_id = (SELECT min(job_id::text) FROM attempts)::uuid",
        "1 attempts name calls that the provider never answered",
    ),
    "answer of another tenant's text": (
        'UPDATE inputs SET request = \'{"text": "Letter of nobody: nothing"}\''
        " WHERE job_id = (SELECT min(job_id::text) FROM inputs)::uuid",
        "rows stand with another's",
    ),
    "stand-in that the fault does not explain": (
        "UPDATE jobs SET answered_by = 'rules', failure_reason = 'timeout' WHERE id = (SELECT min(id::text) FROM jobs)::uuid",
        "1 jobs ended as the fault does not explain",
    ),
}


@pytest.fixture(scope="module")
def calm(place: Ground) -> Scenario:
    """A batch that ran without a fault."""
    scenario = alone(all_faults()["none"], SEED, 24)
    result = place.run(scenario)
    assert not result.problems, _story(place, result)
    return scenario


@pytest.mark.parametrize("what", DAMAGE)
def test_the_audit_reports_damage(place: Ground, calm: Scenario, what: str) -> None:
    """What is spoilt in the tables by hand is named by the audit, which finds nothing when it is put right again."""
    statement, sentence = DAMAGE[what]
    with place.spoilt(statement):
        found = audit(read_books(place.place, calm.jobs, []), ())
    assert any(sentence in problem for problem in found.problems), found.problems
    assert audit(read_books(place.place, calm.jobs, []), ()).problems == []


def test_the_audit_reports_a_reservation_that_is_left(place: Ground, calm: Scenario) -> None:
    """A place in the provider's windows that nobody gave back is named."""
    found = audit(read_books(place.place, calm.jobs, [Reservation("model", "a job:1:1", 9.0)]), ())
    assert found.problems == ["1 reservations are left: a job:1:1 for 9 s"]


def test_reservations_of_dead_workers_end_by_themselves(place: Ground) -> None:
    """A killed process gives its places in the provider's windows back to nobody; they expire."""
    assert place.windows_are_free()


def test_the_table_counts_runs_and_losses(place: Ground, calm: Scenario) -> None:
    """The table has a row per fault with its runs, jobs, lost and twice, and a failed row is marked."""
    verdict = audit(read_books(place.place, calm.jobs, []), ())
    good = Result(calm, verdict, 0.5, 1.0)
    bad = Result(calm, None, problems=["it broke"])
    (line,) = report.lines([good, good])
    assert (line.cells[:6], line.failed) == (("none", "2", "48", "0", "0", "0"), False)
    assert report.lines([good, bad])[0].failed
    assert report.markdown([good]).count("\n") == 3


def _story(place: Ground, result: Result) -> str:
    """What broke, in which schedule, and what the workers said meanwhile."""
    return f"{result.scenario.name} (seed {SEED}): {'; '.join(result.problems)}\n{place.crew.logs()[-20_000:]}"
