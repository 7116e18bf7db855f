"""Alerts fire for what is wrong, name the jobs, are told once, and end."""

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from jobs import alerts
from jobs.tally import tally
from schemas.alerts import DEFAULT_RULES, Alert, AlertRule, AlertRulesRefused, Comparison, read_rules
from schemas.figures import FIGURES, Dimension
from schemas.ids import new_id
from schemas.job import JobOptions
from stack.commands import with_this_python, worker_command
from stack.scripted import plays
from storage import alerts as stored
from storage.database import Database
from tests.house import TESTER, House, eventually, landed, submit_text, submit_texts

pytestmark = pytest.mark.usefixtures("clean", "nothing_counted")
ROOT = Path(__file__).parents[2]


def call(house: House, tenant: str, *, version: str = "v1", reason: str | None = None, job: UUID | None = None) -> UUID:
    """A settled call of a job that is still running: accepted, or rejected for a reason."""
    job_id = job or new_id()
    if job is None:
        house.run(
            "INSERT INTO jobs (id, tenant_id, task, state, fallback, lease_until)"
            f" VALUES ('{job_id}', '{tenant}', 'classify', 'running', 'rules', now() + interval '1 hour')"
        )
    house.run(
        "INSERT INTO attempts (job_id, number, tenant_id, fence, actor, purpose, prompt_version, prompt_digest, tier, model,"
        " request, outcome, settled_at, failure_reason)"
        f" VALUES ('{job_id}', 1, '{tenant}', 1, 'w', 'first', '{version}', '', 'small', 'some-model', '{{}}',"
        f" '{'rejected' if reason else 'accepted'}', now(), nullif('{reason or ''}', ''))"
    )
    return job_id


def rule(figure: str, threshold: float, *per: Dimension, **more: object) -> AlertRule:
    """A rule that fires above a threshold."""
    given = {"name": "TheRule", "figure": figure, "comparison": ">", "threshold": threshold, "per": per, **more}
    return AlertRule.model_validate(given)


def judged(house: House, database: Database, *rules: AlertRule, **more: alerts.Deliver) -> list[Alert]:
    """Count, then judge, as workers do one after the other."""
    tally(database, TESTER, every_seconds=1)
    found = alerts.evaluate(database, rules, TESTER, **more)
    assert found is not None
    return found


BY_VERSION = rule("schema_failure_rate", 0.2, Dimension.PROMPT_VERSION, minimum=5)


def test_a_bad_version_is_named_and_a_good_one_is_not(house: House, database: Database, tenant: str) -> None:
    """The alert has the version, the share, the cases it rests on, and the failed jobs, newest first, without the others."""
    for _ in range(6):
        call(house, tenant, version="v1")
    for _ in range(3):
        call(house, tenant, version="v2")
    bad = [call(house, tenant, version="v2", reason="schema_violation") for _ in range(3)]
    (alert,) = judged(house, database, BY_VERSION)
    assert (alert.labels, alert.value, alert.basis) == ({"prompt_version": "v2"}, 0.5, 6.0)
    assert list(alert.jobs) == bad[::-1]


def test_too_few_cases_say_nothing(house: House, database: Database, tenant: str) -> None:
    """Below the rule's minimum even a share of one does not fire."""
    for _ in range(4):
        call(house, tenant, reason="schema_violation")
    assert judged(house, database, BY_VERSION) == []


def test_an_alert_is_told_when_it_begins_and_when_it_ends(
    house: House, database: Database, tenant: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once each, to the log with the jobs' ids and to whoever takes deliveries; between, it stays the same alert."""
    told: list[tuple[UUID, bool]] = []

    def deliver(alert: Alert) -> None:
        told.append((alert.id, alert.resolved_at is None))

    bad = [call(house, tenant, reason="schema_violation") for _ in range(5)]
    with caplog.at_level(logging.INFO):
        (alert,) = judged(house, database, BY_VERSION, deliver=deliver)
        (again,) = judged(house, database, BY_VERSION, deliver=deliver)
        assert (again.id, again.fired_at) == (alert.id, alert.fired_at)
        house.run("TRUNCATE attempts; UPDATE tallies SET at = at - interval '1 hour' WHERE grain = 60")
        assert judged(house, database, BY_VERSION, deliver=deliver) == []
        judged(house, database, BY_VERSION, deliver=deliver)
    assert told == [(alert.id, True), (alert.id, False)]
    lines = [record.getMessage() for record in caplog.records if "alert TheRule" in record.getMessage()]
    assert [line.split(":")[0] for line in lines] == ["alert TheRule fires", "alert TheRule ended"]
    assert all(str(job) in lines[0] for job in bad)
    with database.system() as connection:
        assert [ended.id for ended in stored.ended(connection, 5)] == [alert.id]


def test_a_delivery_that_fails_is_tried_again(house: House, database: Database, tenant: str) -> None:
    """Whoever takes deliveries may be away: the alert stands, and is delivered with the next evaluation."""
    told: list[UUID] = []

    def away(_alert: Alert) -> None:
        raise ConnectionError

    for _ in range(5):
        call(house, tenant, reason="schema_violation")
    assert len(judged(house, database, BY_VERSION, deliver=away)) == 1
    (alert,) = judged(house, database, BY_VERSION, deliver=lambda one: told.append(one.id))
    assert told == [alert.id]


def test_waiting_and_reviews_are_watched(house: House, database: Database, tenant: str) -> None:
    """Figures of the moment fire by tenant and task, with the oldest jobs named."""
    waits = submit_text(database, tenant, "document")
    house.run(f"UPDATE jobs SET created_at = now() - interval '2 hours' WHERE id = '{waits}'")
    reviewed = submit_text(database, tenant, "another")
    house.run(f"UPDATE jobs SET state = 'in_review' WHERE id = '{reviewed}'")
    house.run(
        "INSERT INTO reviews (job_id, tenant_id, task, reason, detail, created_at)"
        f" VALUES ('{reviewed}', '{tenant}', 'classify', 'refused', '', now() - interval '2 days')"
    )
    rules = [
        rule("oldest_waiting_seconds", 3600, Dimension.TENANT, Dimension.TASK, name="Waits"),
        rule("oldest_review_seconds", 86400, Dimension.TASK, name="Reviews"),
        rule("reviews_waiting", 0, name="Backlog"),
        AlertRule(name="Nobody", figure="live_workers", comparison=Comparison.BELOW, threshold=1),
    ]
    found = {alert.rule: alert for alert in judged(house, database, *rules)}
    assert found["Waits"].labels == {"tenant": tenant, "task": "classify"}
    assert (found["Waits"].jobs, found["Reviews"].jobs, found["Backlog"].jobs) == ((waits,), (reviewed,), (reviewed,))
    assert found["Backlog"].value == 1
    assert (found["Nobody"].value, found["Nobody"].jobs) == (0, ())


@pytest.mark.parametrize("name", [name for name, figure in FIGURES.items() if figure.columns])
def test_every_figure_can_be_watched(house: House, database: Database, tenant: str, name: str) -> None:
    """Each figure over a window, by everything that it is kept apart by, is judged without an error where nothing was."""
    assert judged(house, database, rule(name, 0, *FIGURES[name].by)) == []


def test_rules_are_read_from_json_or_a_file(tmp_path: Path) -> None:
    """A setting names rules in JSON, or a file of them; none set are the defaults."""
    given = '[{"name": "A", "figure": "spend_per_hour", "comparison": ">", "threshold": 5, "per": ["tenant"]}]'
    path = tmp_path / "alerts.json"
    path.write_text(given)
    assert read_rules(given) == read_rules(str(path))
    assert (read_rules(None), read_rules("[]")) == (DEFAULT_RULES, ())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ('[{"name": "A", "figure": "speed", "comparison": ">", "threshold": 5}]', "'speed' is none; choose one of: fallback_rate"),
        ('[{"name": "A", "figure": "wait_p95_seconds", "comparison": ">", "threshold": 5, "per": ["model"]}]', "not by model"),
        ('[{"name": "A b", "figure": "failure_rate", "comparison": ">", "threshold": 5}]', "0.name"),
        ('[{"name": "A", "figure": "failure_rate", "comparison": "~", "threshold": 5}]', "0.comparison"),
        ("[1", "Invalid JSON"),
        ("/nowhere/alerts.json", "cannot be read"),
        (json.dumps([{"name": "A", "figure": "failure_rate", "comparison": ">", "threshold": 1}] * 2), "two rules"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused_with_the_place(given: str, why: str) -> None:
    """The message says which rule and what is wrong with it."""
    with pytest.raises(AlertRulesRefused) as refused:
        read_rules(given)
    assert why in str(refused.value)


@pytest.fixture
def planted(house: House, tmp_path: Path) -> Iterator[Path]:
    """A worker of a release whose newest prompt of classify is bad: the model answers it in verse."""
    shutil.copytree(ROOT / "tasks", tmp_path / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    prompts = tmp_path / "tasks/classify/prompts"
    good = (prompts / "v1.md").read_text()
    (prompts / "v99.md").write_text(good.replace("Reply with JSON only.", "Reply in VERSE."))
    house.provider.play(plays.wrong_schema(), contains="VERSE")
    log = tmp_path / "worker.log"
    environment = house.environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]), ASSAY_MAX_TRIES="1")
    with log.open("wb") as output:
        command = with_this_python(worker_command("planted"))
        worker = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT)
    yield log
    worker.kill()
    worker.wait()


def test_a_planted_bad_prompt_version_fires_and_names_its_jobs(
    house: House, database: Database, tenant: str, planted: Path
) -> None:
    """Workers alone count, judge and tell: the default rule fires for the new version, names only its jobs, and the log has
    them; the old version, used beside it, stays quiet."""
    good = submit_texts(database, tenant, [f"good {n}" for n in range(12)], JobOptions(prompt_version="v1"))
    bad = submit_texts(database, tenant, [f"bad {n}" for n in range(12)])
    ids = {job.job_id for job in landed(database, tenant, bad)}
    landed(database, tenant, good)

    def fires() -> Alert | None:
        with database.system() as connection:
            return next((one for one in stored.firing(connection) if one.rule == "SchemaFailures"), None)

    alert = eventually(fires, "the alert fires")
    assert alert.labels == {"task": "classify", "prompt_version": "v99"}
    assert alert.value == 1.0
    assert alert.jobs
    assert set(alert.jobs) <= ids
    ((seconds,),) = house.query(
        "SELECT extract(epoch FROM fired_at - (SELECT min(settled_at) FROM attempts WHERE prompt_version = 'v99'))::float8"
        " FROM alerts WHERE id = %s", alert.id
    )  # fmt: skip
    logging.getLogger(__name__).info("the alert fired %.1f s after the first bad reply", seconds)
    eventually(lambda: "alert SchemaFailures fires" in planted.read_text(), "the log tells it")
    assert any(str(job) in planted.read_text() for job in alert.jobs)
