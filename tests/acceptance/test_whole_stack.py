"""The whole of it, as a new user meets it: the demo on the local model, and a stack on servers of one's own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from schemas.settings import Settings
from stack.scripted import ScriptedProvider
from stack.up import running_services
from tests.house import eventually

ASSAY = [sys.executable, "-c", "from cli.main import main; main()"]
REMOVED = ("DATABASE_URL", "DATABASE_ADMIN_URL", "REDIS_URL", "BROKER_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")
ONE_WORKER = {"ASSAY_WORKER_PROCESSES": "1"}
"""Where a stack cannot start, it tries each worker three times; one shows it as well as two."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing set but what is given."""
    return {k: v for k, v in os.environ.items() if k not in REMOVED} | {"ASSAY_HOME": str(home)} | more


def run(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A finished command."""
    return subprocess.run(
        [*ASSAY, *arguments], env=environment(home, **more), capture_output=True, text=True, check=False, timeout=280
    )


def left_running(home: Path) -> list[list[str]]:
    """Command lines of processes that belong to this ASSAY_HOME."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ASSAY_HOME") == str(home) or str(home) in " ".join(process.cmdline()):
                found.append(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_the_demo_lands_every_job_on_the_local_model(tmp_path: Path) -> None:
    """At least 30 real documents over the three tasks: each lands, the model and the rules both answer, each task that
    the model failed has answers of the rules, one job's audit is told in full, and nothing is left running."""
    done = run(tmp_path, "demo", "--seconds", "8", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    tasks = told["tasks"]
    assert set(tasks) == {"summarize", "classify", "extract"}
    assert sum(task["total"] for task in tasks.values()) >= 30
    for name, task in tasks.items():
        assert task["landed"] == task["total"], name
        assert "failed" not in task["states"], name
        if task["answered_by"].get("model", 0) < task["total"]:
            assert task["answered_by"].get("rules", 0) >= 1, name
    assert sum(task["answered_by"].get("model", 0) for task in tasks.values()) >= 1
    assert told["audit"]["request"]["text"]
    assert left_running(tmp_path) == []


def test_servers_of_ones_own(tmp_path: Path) -> None:
    """With DATABASE_URL, REDIS_URL and a model address set, `assay up` starts workers, beat and Flower only; a database
    is brought up by `assay migrate`; a superuser's DATABASE_URL is refused with what to do."""
    (tmp_path / "servers").mkdir()
    home = tmp_path / "home"
    quiet = running_services(Settings(home=tmp_path / "servers"), echo=lambda _line: None)
    with quiet as servers, ScriptedProvider() as provider:
        admin, broker = servers.connections.database_admin_url, servers.connections.broker_url
        assert admin is not None
        assert broker is not None
        own = {"REDIS_URL": broker, "ANTHROPIC_BASE_URL": provider.url, "ASSAY_WORKER_SLOTS": "4"}
        refused = run(home, "up", DATABASE_URL=admin, **own, **ONE_WORKER)
        assert refused.returncode == 1
        assert "superuser" in refused.stderr
        assert "assay migrate" in refused.stderr
        assert "Traceback" not in refused.stderr
        migrated = run(home, "migrate", "--json", DATABASE_ADMIN_URL=admin)
        assert migrated.returncode == 0, migrated.stderr
        own["DATABASE_URL"] = json.loads(migrated.stdout)["database_url"]
        _work_on(home, own)
        assert provider.invoice()
        with psycopg.connect(admin) as connection:
            assert connection.execute("SELECT count(*) FROM answers").fetchone() == (3,)
    assert left_running(home) == []


def _work_on(home: Path, own: dict[str, str]) -> None:
    """Start the stack, let it do a batch and stop it as a user does, with Ctrl-C."""
    log = home.parent / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen([*ASSAY, "up"], env=environment(home, **own), stdout=output, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: up.poll() is not None or "Assay runs in" in log.read_text(), "the stack is up")
        assert up.poll() is None, log.read_text()
        names = {path.stem for path in (home / "logs").glob("*.log")}
        assert names == {"worker-1", "worker-2", "beat", "web", "flower"}
        tickets = home.parent / "tickets.jsonl"
        tickets.write_text("".join(json.dumps({"text": f"ticket {n} about billing"}) + "\n" for n in range(3)))
        labels = ["--label", "billing", "--label", "shipping", "--label", "other"]
        submitted = run(home, "submit", "classify", "--jsonl", str(tickets), *labels, "--json", **own)
        batch = json.loads(submitted.stdout)["batch_id"]
        assert run(home, "watch", batch, **own).returncode == 0
        results = [json.loads(line) for line in run(home, "results", batch, **own).stdout.splitlines()]
        assert [(result["line"], result["answered_by"]) for result in results] == [
            (1, "model"),
            (2, "model"),
            (3, "model"),
        ]
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=60)
    assert up.returncode == 0, log.read_text()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"ASSAY_WORKER_SLOTS": "many"}, "ASSAY_WORKER_SLOTS"),
        ({"DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none"}, "database"),
    ],
)
def test_wrong_settings_are_one_sentence(tmp_path: Path, setting: dict[str, str], words: str) -> None:
    """A setting that does not parse or leads nowhere is named; there is no traceback and nothing is left running."""
    done = run(tmp_path, "up", **setting, **ONE_WORKER)
    assert done.returncode in {1, 2}
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert left_running(tmp_path) == []


def test_an_unwritable_home_is_one_sentence() -> None:
    """A place where nothing can be written is refused with its name, and nothing is left there."""
    done = run(Path("/proc/assay"), "up")
    assert done.returncode == 1
    assert "/proc/assay" in done.stderr
    assert "Traceback" not in done.stderr
