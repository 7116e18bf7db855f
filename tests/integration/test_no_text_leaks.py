"""Document text stands in Postgres and nowhere else: no message, no Flower page, no log line."""

import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
import redis

from schemas.job import FallbackPolicy, JobOptions
from stack.commands import flower_command, with_this_python
from stack.ports import free_port
from stack.scripted import plays
from storage.database import Database
from tests.house import House, Workers, eventually, landed, one_round, submit_texts
from workers.queues import QUEUE

MARKER = "XyzzyPlughMarker"


def broker_content(house: House) -> bytes:
    """Every key and value that the broker holds."""
    client = redis.Redis.from_url(house.broker_url)
    parts: list[bytes | str] = []
    for key in client.scan_iter(count=1000):
        parts += [key, client.dump(key) or b""]
        if client.type(key) == b"list":
            parts += client.lrange(key, 0, -1)
        elif client.type(key) == b"hash":
            parts += [part for pair in client.hgetall(key).items() for part in pair]
        elif client.type(key) == b"string":
            parts.append(client.get(key) or b"")
    return b"\n".join(part if isinstance(part, bytes) else part.encode() for part in parts)


@pytest.mark.usefixtures("clean")
def test_messages_hold_ids_only(house: House, database: Database, tenant: str) -> None:
    """What lies in the queue while no worker runs names the tenant and the job, and not a word of the document."""
    from workers.celery import celery_config
    from workers.publisher import CeleryPublisher

    redis.Redis.from_url(house.broker_url).flushall()
    from celery import Celery

    app = Celery("test", set_as_current=False)
    app.conf.update({**celery_config(), "broker_url": house.broker_url, "result_backend": None})
    batch = submit_texts(database, tenant, [f"{MARKER} secret"])
    assert one_round(database, CeleryPublisher(app)) == 1
    app.close()
    content = broker_content(house)
    assert QUEUE.encode() in content
    assert MARKER.encode() not in content
    (job_id,) = house.query("SELECT id FROM jobs WHERE batch_id = %s", batch)[0]
    assert str(job_id).encode() in _decoded(content)


def _decoded(content: bytes) -> bytes:
    """Message bodies are base64 inside the envelope."""
    import base64

    bodies = re.findall(rb'"body": "([A-Za-z0-9+/=]+)"', content)
    return content + b"".join(base64.b64decode(body) for body in bodies)


def test_a_marker_is_found_nowhere_but_in_postgres(
    house: House, database: Database, tenant: str, workers: Workers, tmp_path: Path
) -> None:
    """Successes, repairs, failures, crashes and native jobs with a marked document leave no trace outside Postgres."""
    redis.Redis.from_url(house.broker_url).flushall()
    house.provider.play(plays.wrong_schema(), plays.answer(), contains=f"{MARKER} repair")
    house.provider.play(plays.refusal(), contains=f"{MARKER} refused")
    house.provider.play(plays.status(400, message=f"bad: {MARKER}"), contains=f"{MARKER} echoed")
    house.provider.play(plays.not_applicable(f"{MARKER} is odd"), contains=f"{MARKER} odd")
    port, log = free_port(), tmp_path / "flower.log"
    with log.open("wb") as output:
        flower = subprocess.Popen(
            with_this_python(flower_command(port, tmp_path / "flower")),
            env=house.environment(FLOWER_UNAUTHENTICATED_API="true"),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        workers.start()
        eventually(lambda: _page(port, "/healthcheck"), "Flower is up")
        texts = [f"{MARKER} {kind} billing" for kind in ("fine", "repair", "refused", "echoed", "odd")]
        options = JobOptions(fallback=FallbackPolicy.PERSON)
        landed(database, tenant, submit_texts(database, tenant, texts, options))
        _misaddressed(house, f"{MARKER} nobody's task")
        native = _native(house, f"{MARKER} native billing")
        assert MARKER in str(native["answer"])
        shown = eventually(lambda: _tasks(port), "Flower has seen the tasks")
        pages = shown + b"".join(_page(port, path) for path in ("/", "/workers", "/tasks", "/broker", "/api/workers"))
    finally:
        flower.terminate()
        flower.wait()
    assert b"assay.classify" in pages
    assert MARKER.encode() not in pages
    assert MARKER not in workers.logs()
    assert "unregistered task of type 'assay.sumarize'" in workers.logs().replace("KeyError(", "")
    assert MARKER not in log.read_text()
    for path in (house.home / "logs").iterdir():
        assert MARKER.encode() not in path.read_bytes(), path.name
    assert house.query("SELECT count(*) FROM inputs WHERE request::text LIKE %s", f"%{MARKER}%") == [(6,)]


def _page(port: int, path: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return bytes(response.read())
    except OSError:
        return b""


def _tasks(port: int) -> bytes:
    """Flower's list of tasks, once the native one has succeeded, with each task's own page."""
    listed = _page(port, "/api/tasks")
    if listed.count(b"SUCCESS") < 2:
        return b""
    ids = re.findall(rb'"uuid": "([0-9a-f-]+)"', listed)
    return listed + b"".join(_page(port, f"/task/{task_id.decode()}") for task_id in ids)


def _misaddressed(house: House, text: str) -> None:
    """A document sent to a task that does not exist."""
    from celery import Celery

    app = Celery("producer", broker=house.broker_url, set_as_current=False)
    app.send_task("assay.sumarize", kwargs={"request": {"text": text}})
    app.close()


def _native(house: House, text: str) -> dict[str, object]:
    from celery import Celery

    app = Celery("producer", broker=house.broker_url, backend=house.broker_url, set_as_current=False)
    request = {"text": text, "labels": ["billing", "other"]}
    answer: dict[str, object] = app.send_task("assay.classify", kwargs={"request": request}).get(timeout=60)
    app.close()
    return answer
