"""Producers that know nothing of Assay but a Celery task's name."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import show
from schemas.ids import new_id
from stack.scripted import plays
from storage.database import Database
from tests.house import House, Workers, eventually

SCRIPT = """
import json, sys
from celery import Celery
app = Celery(broker=sys.argv[1], backend=sys.argv[1])
request = json.loads(sys.argv[2])
result = app.send_task("assay." + sys.argv[3], kwargs={"request": request, "tenant": "default"})
try:
    print(json.dumps({"id": result.id, "result": result.get(timeout=60)}))
except Exception as error:
    print(json.dumps({"id": result.id, "error": type(error).__name__, "text": str(error)}))
"""
GROUPED = """
import json, sys
from celery import Celery, chain, group, signature
app = Celery(broker=sys.argv[1], backend=sys.argv[1])
def classify(text):
    request = {"text": text, "labels": ["billing", "other"]}
    return signature("assay.classify", kwargs={"request": request}, app=app, immutable=True)
many = group(classify(f"text {n}") for n in range(8)).apply_async()
print(json.dumps([answer["answer"]["labels"] for answer in many.get(timeout=60)]))
two = chain(classify("first"), classify("second")).apply_async()
print(json.dumps(two.get(timeout=60)["state"]))
"""


def script(tmp_path: Path, source: str, *arguments: str) -> list[object]:
    """Run a producer's script in a folder of its own, in which no module of the project can be found."""
    path = tmp_path / "producer.py"
    path.write_text(source)
    run = [sys.executable, "-I", str(path), *arguments]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_send_task_gets_its_answer(house: House, database: Database, workers: Workers, tmp_path: Path) -> None:
    """``send_task("assay.summarize", ...)`` returns the job with its answer by ``.get()``; its id is the task's id."""
    workers.start()
    request = json.dumps({"text": "The fee was charged twice. Please refund it."})
    (printed,) = script(tmp_path, SCRIPT, house.broker_url, request, "summarize")
    assert isinstance(printed, dict)
    result = printed["result"]
    assert result["job_id"] == printed["id"]
    assert (result["state"], result["answered_by"]) == ("answered", "model")
    assert result["answer"]["key_points"]
    assert show.show(database, "default", result["job_id"]).state == "answered"


def test_a_request_that_breaks_the_contract_raises(house: House, workers: Workers, tmp_path: Path) -> None:
    """``.get()`` raises with a sentence that names the field, and no job exists."""
    workers.start()
    (printed,) = script(tmp_path, SCRIPT, house.broker_url, json.dumps({"text": ""}), "summarize")
    assert isinstance(printed, dict)
    assert printed["error"] == "RequestRefused"
    assert "text: is empty" in printed["text"]
    assert house.query("SELECT count(*) FROM jobs") == [(0,)]


def test_a_job_without_an_answer_raises(house: House, workers: Workers, tmp_path: Path) -> None:
    """When a native job fails, ``.get()`` raises ``JobFailed`` with the reason."""
    house.provider.play(plays.refusal(), contains="refuse this")
    workers.start(1)
    request = {"text": "refuse this zzz", "labels": ["a1", "b1"]}
    source = SCRIPT.replace('"tenant": "default"', '"tenant": "default", "options": {"fallback": "fail"}')
    (printed,) = script(tmp_path, source, house.broker_url, json.dumps(request), "classify")
    assert isinstance(printed, dict)
    assert (printed["error"], "refused" in printed["text"]) == ("JobFailed", True)


def test_group_and_chain_work(house: House, workers: Workers, tmp_path: Path) -> None:
    """Celery's own canvas behaves as its users expect."""
    workers.start()
    labels, state = script(tmp_path, GROUPED, house.broker_url)
    assert labels == [["billing"]] * 8
    assert state == "answered"


def test_a_native_job_that_must_wait_still_answers(house: House, workers: Workers, tmp_path: Path) -> None:
    """A rate limit puts the job back; ``.get()`` returns once it has landed."""
    house.provider.play(plays.status(429, retry_after=1), plays.answer(), contains="wait for it")
    workers.start(1, ASSAY_TRANSPORT_WAIT_MAX_SECONDS="0.5")
    (printed,) = script(tmp_path, SCRIPT, house.broker_url, json.dumps({"text": "wait for it. Then go."}), "summarize")
    assert isinstance(printed, dict)
    assert printed["result"]["answered_by"] == "model"
    assert house.query("SELECT waits, tries FROM jobs") == [(1, 0)]


def test_it_can_be_switched_off(house: House, workers: Workers, tmp_path: Path) -> None:
    """With ASSAY_NATIVE_SUBMIT=false documents in messages are refused with a sentence."""
    workers.start(1, ASSAY_NATIVE_SUBMIT="false")
    (printed,) = script(tmp_path, SCRIPT, house.broker_url, json.dumps({"text": "x"}), "summarize")
    assert isinstance(printed, dict)
    assert "switched off" in printed["text"]


@pytest.mark.usefixtures("clean")
def test_a_redelivered_message_writes_no_second_job(house: House, database: Database, tenant: str) -> None:
    """The same Celery message twice is one job."""
    from jobs.submit import submit_native
    from schemas.job import JobOptions
    from tasks import find_task

    job_id = new_id()
    for _ in range(2):
        submit_native(database, tenant, find_task("summarize"), job_id, {"text": "x y z"}, JobOptions())
    assert house.query("SELECT count(*) FROM jobs") == [(1,)]
    assert eventually(lambda: show.show(database, tenant, job_id), "it is there").state == "published"
