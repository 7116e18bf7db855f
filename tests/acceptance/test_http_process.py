"""The web as it is run: a process that is killed, and one that is told to stop."""

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from schemas.access import Role
from stack.commands import web_command, with_this_python
from stack.ports import free_port
from storage.database import Database
from tests.api_world import Api, client, texts
from tests.house import House, eventually

pytestmark = pytest.mark.usefixtures("clean")
WHOLE = 5000


@dataclass
class Process:
    """A web process that answers."""

    process: "subprocess.Popen[bytes]"
    port: int


@contextmanager
def web_process(house: House, port: int | None = None) -> Iterator[Process]:
    """``python -m web``; killed at the end if it still runs."""
    chosen = port or free_port()
    process = subprocess.Popen(with_this_python(web_command(chosen)), env=house.environment())
    try:
        eventually(lambda: process.poll() is not None or _answers(chosen), "the web answers")
        assert process.poll() is None
        yield Process(process, chosen)
    finally:
        process.kill()
        process.wait()


def test_a_server_that_is_killed_in_an_upload_loses_and_doubles_nothing(
    house: House, database: Database, tenant: str
) -> None:
    """kill -9 when a part has arrived; sent again with its key to a fresh process, every line is a job, once."""
    with web_process(house) as web:
        api = client(database, web.port, tenant)

        def until_killed() -> Iterator[bytes]:
            yield from texts(WHOLE // 2)
            eventually(lambda: _count(house, "arrivals", tenant) > 0, "a part has arrived")
            web.process.kill()
            web.process.wait()
            yield from texts(WHOLE)

        with pytest.raises((OSError, http.client.HTTPException)):
            api.upload(until_killed(), Idempotency_Key="k")
        assert _count(house, "jobs", tenant) == 0
        port = web.port
    with web_process(house, port):
        made = api.upload(texts(WHOLE), Idempotency_Key="k")
        assert (made.status, made.json["total"]) == (201, WHOLE)
        assert made.json["resumed_lines"] > 0
        lines = [one["line"] for one in api.get(f"{made.headers['location']}/results").lines]
        assert lines == list(range(1, WHOLE + 1))
    assert [_count(house, table, tenant) for table in ("jobs", "inputs", "arrivals")] == [WHOLE, WHOLE, 0]


def test_a_process_that_is_told_to_stop_stops(house: House, database: Database, tenant: str) -> None:
    """SIGTERM: exit code 0, and what it says of itself in no header."""
    with web_process(house) as web:
        answer = client(database, web.port, tenant, Role.OPERATOR).get("/v1/jobs")
        assert answer.status == 200
        assert "server" not in answer.headers
        web.process.send_signal(signal.SIGTERM)
        assert web.process.wait(timeout=60) in {0, -signal.SIGTERM}


def test_a_process_without_a_database_says_so() -> None:
    """One sentence and no trace."""
    done = subprocess.run(
        [sys.executable, "-m", "web", "--port", "0"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "DATABASE_URL is not set" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def _count(house: House, table: str, tenant: str) -> int:
    return int(house.query(f"SELECT count(*) FROM {table} WHERE tenant_id = %s", tenant)[0][0])


def _answers(port: int) -> bool:
    try:
        return Api(port, None).get("/v1/openapi.json").status == 200
    except OSError:
        return False
