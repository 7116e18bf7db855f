"""The whole stack: services, migration, workers, beat and Flower."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from schemas.settings import Settings
from stack.doctor import examine
from stack.state import read_state

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from pathlib import Path
from schemas.settings import Settings
from stack.up import run_stack
said = lambda line: print(line, flush=True)
run_stack(Settings(home=Path(sys.argv[1])), on_ready=lambda state: said("ready"), echo=said)
"""
OUTSIDE = ("DATABASE_URL", "DATABASE_ADMIN_URL", "REDIS_URL", "BROKER_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty ASSAY_HOME, and no addresses set."""
    for name in OUTSIDE:
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(prefix="assay-") as directory:
        yield Path(directory)


def test_everything_comes_up_is_well_and_goes(home: Path) -> None:
    """In an empty home all parts come up, the doctor of another process finds each well, and SIGTERM leaves nothing."""
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd="/",
    ) as program:  # fmt: skip
        assert program.stdout is not None
        line = program.stdout.readline()
        assert line == "ready\n", line + program.stdout.read()
        state = read_state(home)
        assert state is not None
        assert state.ready
        assert {part.name: part.state for part in state.parts} == dict.fromkeys(
            ["model", "postgres", "valkey", "worker-1", "worker-2", "beat", "web", "flower"], "up"
        )
        children = psutil.Process(program.pid).children(recursive=True)
        found = examine(Settings(home=home))
        assert {report.name: report.state for report in found} == dict.fromkeys(
            ["database", "broker", "model", "workers", "beat", "web", "flower"], "ok"
        ), found
        secrets = [file.read_text() for file in (home / "secrets").iterdir()]
        assert not [word for word in secrets if word in "".join(report.model_dump_json() for report in found)]
        commands = " ".join(word for child in children for word in child.cmdline())
        assert not [word for word in secrets if word in commands]
        program.send_signal(signal.SIGTERM)
        assert program.wait() == 0, program.stdout.read()
    assert [child for child in children if child.is_running()] == []
    assert read_state(home) is None
