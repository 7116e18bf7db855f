"""Log lines: each says which job it is about, for people and for programs."""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress

import pytest

from telemetry.context import about, note, present
from telemetry.logs import set_up_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_json_line_holds_the_ids_of_its_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    """Time in UTC, level, logger, process and message, and the ids of all blocks around it, on one line."""
    set_up_logging("json", "worker")
    with about(job_id="j-1", tenant_id="acme"):
        note(attempt=2)
        logging.getLogger("jobs.execute").info("took %d ms", 7, extra={"model": "small"})
    line = json.loads(capsys.readouterr().err)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO", "logger": "jobs.execute", "message": "took 7 ms", "process": "worker", "job_id": "j-1",
        "tenant_id": "acme", "attempt": "2", "model": "small",
    }  # fmt: skip


def test_a_line_for_people_ends_with_the_ids(capsys: pytest.CaptureFixture[str]) -> None:
    """And with nothing where it is about no job."""
    set_up_logging("console", "worker")
    with about(job_id="j-1", tenant_id=None):
        logging.getLogger("x").warning("slow")
    logging.getLogger("x").warning("idle")
    slow, idle = capsys.readouterr().err.splitlines()
    assert slow.endswith("WARNING x slow job_id=j-1")
    assert idle.endswith("WARNING x idle")


def test_a_message_of_several_lines_stays_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody can forge a line by what they name a thing."""
    set_up_logging("json", "web")
    logging.getLogger("x").error('first\n{"level": "INFO"}\r\nthird')
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"].count("\n") == 2


def test_ids_end_with_their_block() -> None:
    """Also where the block ends by an exception."""
    seen = []
    with suppress(ValueError), about(job_id="j"):
        note(attempt=1)
        seen.append(present())
        raise ValueError("x")
    assert (seen, present()) == ([{"job_id": "j", "attempt": "1"}], {})
