"""A batch over HTTP: ``python -m benchmarks.http [LINES]``.

Uploads LINES (100,000) documents to a web process of its own, without workers, and reads them back; then once more with a
client that dies at 60 % and sends everything again. Prints what it took, and the load of the machine meanwhile.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from benchmarks.documents import LABELS, document
from jobs.tenancy import create_key
from schemas.settings import Settings
from stack.ports import LOOPBACK, free_port
from stack.up import running_services
from storage.database import Database
from storage.migrate import migrate

PATH = "/v1/batches?" + urlencode({"task": "classify", "defaults": json.dumps({"labels": LABELS})})
LOOK_SECONDS = 0.02
PIECE = 64 * 1024


class WebProcess:
    """``python -m web``, and how much memory it takes."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "web", "--port", str(self.port)], env={**os.environ, **environment},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._seen = psutil.Process(self._process.pid)
        self._stop = threading.Event()
        self.peak = 0
        while not self._answers():
            time.sleep(LOOK_SECONDS)
        threading.Thread(target=self._watch, daemon=True).start()

    def memory(self) -> int:
        """Resident bytes now."""
        return int(self._seen.memory_info().rss)

    def cpu_seconds(self) -> float:
        """Used so far."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._process.terminate()
        self._process.wait()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.peak = max(self.peak, self.memory())

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", "/v1/openapi.json")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def main(count: int) -> dict[str, Any]:
    """Measure."""
    with (
        tempfile.TemporaryDirectory() as home,
        running_services(Settings(home=Path(home)), echo=lambda _line: None) as up,
    ):
        assert up.connections.database_admin_url is not None
        app_url = migrate(up.connections.database_admin_url, app_password="only-for-this")
        assert app_url is not None
        database = Database(app_url)
        _, key = create_key(database, "default", "benchmark", "producer")
        database.close()
        web = WebProcess({"DATABASE_URL": app_url, "REDIS_URL": up.connections.broker_url or "", "ASSAY_HOME": home})
        try:
            return _measured(web, key, count)
        finally:
            web.stop()


def _measured(web: WebProcess, key: str, count: int) -> dict[str, Any]:
    _upload(web, key, _pieces(100))  # imports, pools, plans
    body = list(_pieces(count))
    before, cpu, started = web.memory(), web.cpu_seconds(), time.monotonic()
    made = _upload(web, key, iter(body))
    seconds = time.monotonic() - started
    uploaded = {"lines_per_s": round(count / seconds), "seconds": round(seconds, 1),
                "web_cpu_seconds": round(web.cpu_seconds() - cpu, 1),
                "megabytes": round(sum(map(len, body)) / 1e6), "memory_growth_mb": round((web.peak - before) / 1e6)}  # fmt: skip
    started = time.monotonic()
    lines = _results(web, key, made["batch_id"])
    assert lines == list(range(1, count + 1)), "not complete and in order"
    seconds = time.monotonic() - started
    read = {"lines_per_s": round(count / seconds), "memory_growth_mb": round((web.peak - before) / 1e6)}
    _die(web, key, body)
    started = time.monotonic()
    again = _upload(web, key, iter(body), {"Idempotency-Key": "k"})
    assert again["total"] == count
    assert _results(web, key, again["batch_id"]) == list(range(1, count + 1)), "lost or doubled"
    resumed = {"lines_there": again["resumed_lines"], "seconds": round(time.monotonic() - started, 1)}
    return {
        "lines": count,
        "upload": uploaded,
        "results": read,
        "died_and_sent_again": resumed,
        "load": os.getloadavg(),
    }


def _pieces(count: int) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for number in range(count):
        line = json.dumps({"text": document(number), "id": number}).encode() + b"\n"
        held.append(line)
        size += len(line)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _upload(web: WebProcess, key: str, body: Iterator[bytes], headers: dict[str, str] | None = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection(LOOPBACK, web.port, timeout=600)
    connection.request("POST", PATH, body, _headers(key, headers), encode_chunked=True)
    response = connection.getresponse()
    found: dict[str, Any] = json.loads(response.read())
    assert response.status == 201, found
    connection.close()
    return found


def _die(web: WebProcess, key: str, body: list[bytes]) -> None:
    """Send 60 % and go."""
    connection = http.client.HTTPConnection(LOOPBACK, web.port, timeout=600)
    connection.putrequest("POST", PATH)
    for name, value in _headers(key, {"Idempotency-Key": "k"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    for piece in body[: len(body) * 6 // 10]:
        connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    connection.close()


def _results(web: WebProcess, key: str, batch_id: str) -> list[int]:
    connection = http.client.HTTPConnection(LOOPBACK, web.port, timeout=600)
    connection.request("GET", f"/v1/batches/{batch_id}/results", headers={"Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    found = [json.loads(line)["line"] for line in response]
    connection.close()
    return found


def _headers(key: str, more: dict[str, str] | None) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key}", "Content-Type": "application/jsonl", "Transfer-Encoding": "chunked", **(more or {}),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000), indent=2))
