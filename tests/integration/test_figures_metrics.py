"""``/metrics``, ``/healthz`` and ``/readyz``: what machines are told."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from jobs import tenancy
from jobs.tally import tally
from schemas.figures import COUNTS
from schemas.ids import new_id
from stack.scripted import plays
from storage.database import Database
from tests.house import TESTER, House, Workers, eventually, landed, settings_of, submit_text, submit_texts
from web.app import make_app
from web.operators import metrics
from web.operators.metrics import COUNTERS, OTHERS, WAIT

pytestmark = pytest.mark.usefixtures("clean", "nothing_counted")


@pytest.fixture
def web(house: House) -> Iterator[TestClient]:
    """A client without a key."""
    with TestClient(make_app(settings_of(house)), base_url="http://127.0.0.1") as client:
        yield client


def authorization(database: Database, tenant: str, role: str = "operator") -> dict[str, str]:
    """The header of a new key."""
    _, key = tenancy.create_key(database, tenant, f"k{new_id().hex[-8:]}", role)
    return {"Authorization": f"Bearer {key}"}


def scraped(web: TestClient, headers: dict[str, str]) -> dict[str, Metric]:
    """All metrics, as Prometheus's own parser reads them."""
    answer = web.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=1.0.0")
    return {metric.name: metric for metric in text_string_to_metric_families(answer.text)}


def values(metric: Metric, **labels: str) -> dict[str, float]:
    """A metric's samples with these labels, by the label that is left."""
    found = {}
    for sample in metric.samples:
        if labels.items() <= sample.labels.items():
            rest = [value for name, value in sample.labels.items() if name not in labels]
            found["/".join(rest)] = sample.value
    return found


def count_now(house: House, database: Database) -> None:
    """Wait until everything up to now is counted."""
    ((now,),) = house.query("SELECT clock_timestamp()")

    def counted() -> bool:
        tally(database, TESTER, every_seconds=1)
        return bool(house.query("SELECT 1 FROM tally_progress WHERE counted_until > %s", now))

    eventually(counted, "everything is counted")


def test_prometheus_reads_what_happened(
    house: House, database: Database, tenant: str, web: TestClient, workers: Workers
) -> None:
    """The official parser reads every line; jobs, calls, reasons, tokens and waits are those of the jobs that ran."""
    house.provider.play(plays.wrong_schema(), contains="bad one")
    workers.start()
    landed(database, tenant, submit_texts(database, tenant, ["fine one", "fine two", "bad one billing"]))
    count_now(house, database)
    found = scraped(web, authorization(database, tenant))
    assert values(found["assay_jobs_submitted"], tenant=tenant) == {"classify": 3}
    assert values(found["assay_jobs_landed"], tenant=tenant, task="classify") == {"model": 2, "rules": 1}
    assert sum(values(found["assay_jobs_concluded"], task="classify", prompt_version="v1").values()) == 3
    failures = values(found["assay_call_failures"], task="classify", prompt_version="v1")
    ((rejected,),) = house.query("SELECT count(*) FROM attempts WHERE failure_reason = 'schema_violation'")
    assert sum(failures.values()) == rejected > 0
    ((tokens,),) = house.query("SELECT sum(output_tokens) FROM attempts")
    assert (
        sum(value for name, value in values(found["assay_tokens"], tenant=tenant).items() if "output" in name) == tokens
    )
    waits = [sample for sample in found[WAIT].samples if sample.name == f"{WAIT}_count"]
    assert [sample.value for sample in waits] == [3]
    assert values(found["assay_workers"]) == {"": 1}
    assert values(found["assay_admission_shared"]) == {"": 1}
    assert values(found["assay_calls_in_flight"], scope="model")
    assert set(values(found["assay_alerts_firing"])) >= {"SchemaFailures", "JobsWait"}


def test_tenants_beyond_the_bound_share_a_name(
    house: House, database: Database, tenant: str, web: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The label's values are bounded: those made later are counted together."""
    monkeypatch.setattr("web.operators.health.MOST_TENANTS", 1)
    submit_text(database, tenant, "document")
    submit_text(database, "default", "document")
    count_now(house, database)
    found = scraped(web, authorization(database, tenant))
    assert values(found["assay_jobs_submitted"]) == {"classify/default": 1, f"classify/{OTHERS}": 1}


def test_metrics_are_for_operators(database: Database, tenant: str, web: TestClient) -> None:
    """Without a key nothing is told; with a producer's or a reviewer's the address looks unknown."""
    assert web.get("/metrics").status_code == 401
    for role in ("producer", "reviewer"):
        headers = authorization(database, tenant, role)
        refused, unknown = web.get("/metrics", headers=headers), web.get("/nowhere", headers=headers)
        assert refused.status_code == unknown.status_code == 404
        assert refused.json()["title"] == unknown.json()["title"]


def test_every_count_is_told() -> None:
    """Each column that is counted stands behind some metric."""
    assert metrics.columns_behind() == set(COUNTS)
    assert len({counter.name for counter in COUNTERS}) == len(COUNTERS)


def test_alive_is_not_ready(house: House, tenant: str, web: TestClient) -> None:
    """The process answers whatever happens; it is ready while jobs go on, and not while they wait and nobody is there. Neither
    says whose they are."""
    assert web.get("/readyz").json() == {"status": "ok"}
    house.run(
        "INSERT INTO jobs (id, tenant_id, task, state, fallback, created_at, published_at)"
        f" VALUES ('{new_id()}', '{tenant}', 'classify', 'published', 'rules', now() - interval '5 minutes', now())"
    )
    answer = eventually(lambda: found if (found := web.get("/readyz")).status_code == 503 else None, "it is not ready")
    assert answer.json() == {"status": "stuck"}
    assert tenant not in answer.text
    assert web.get("/healthz").status_code == 200
