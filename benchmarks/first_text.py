"""How long a piece of a model's text takes from the model's server to a client of the web: ``python -m benchmarks.first_text``.

The clock starts when the provider writes the piece, just before the worker can see it, and ends when a client has the event: a
little more than what is promised (150 ms from the worker's seeing it). Jobs, worker, web, PostgreSQL and Valkey are as in use.
"""

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from pydantic import SecretStr
from pydantic_core import to_json

from benchmarks.crew import running
from jobs.submit import submit_one
from jobs.tenancy import create_key
from schemas.job import JobOptions
from schemas.settings import Settings
from stack.commands import with_this_python, worker_command
from stack.home import open_home, secret
from stack.model import CHECKOUT
from stack.part import Part
from stack.plan import worker_environment
from stack.ports import LOOPBACK, free_port
from stack.scripted.answers import fill, source_of
from stack.up import running_services
from storage.database import Database
from storage.migrate import migrate

FIRST_SECONDS = (0.02, 0.6)
"""From the request to the first piece: any time between an eager and a usual model."""
PIECE_SECONDS = 0.02
PIECE_CHARS = 6
LABELS = ["billing", "shipping", "other"]
_STREAM_KEY = "of-a-benchmark-and-long-enough-to-be-one"


class Model:
    """A provider that streams its answer slowly and notes when each character went out."""

    def __init__(self) -> None:
        self.written: dict[int, list[tuple[int, float]]] = defaultdict(list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one call."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length is not None
        request = json.loads(await reader.readexactly(int(length[1])))
        number = int(re.findall(r"document (\d+)", str(request["messages"]))[0])
        schema = request["output_config"]["format"]["schema"]
        text = to_json(fill(schema, source_of(request["messages"]), quote=None)).decode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        writer.write(_event("message_start", message={
            "id": "msg", "type": "message", "role": "assistant", "model": request["model"], "content": [],
            "stop_reason": None, "usage": {"input_tokens": 100, "output_tokens": 1},
        }))  # fmt: skip
        writer.write(_event("content_block_start", index=0, content_block={"type": "text", "text": ""}))
        await asyncio.sleep(random.uniform(*FIRST_SECONDS))
        for start in range(0, len(text), PIECE_CHARS):
            piece = text[start : start + PIECE_CHARS]
            self.written[number].append((start + len(piece), time.monotonic()))
            writer.write(_event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}))
            await writer.drain()
            await asyncio.sleep(PIECE_SECONDS)
        writer.write(_event("content_block_stop", index=0))
        writer.write(_event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 50}))
        writer.write(_event("message_stop"))
        await writer.drain()
        writer.close()


def _event(name: str, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


class Clients:
    """Clients of the web, one for each job."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self.seen: dict[int, list[tuple[int, float]]] = defaultdict(list)

    async def follow(self, number: int, job_id: UUID) -> None:
        """Follow a job to its end and note when each character of its text came."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
        writer.write(
            f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._key}\r\n\r\n".encode()
        )
        name = ""
        while line := await reader.readline():
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            elif line.startswith(b"data: ") and name == "text":
                data = json.loads(line[6:])
                self.seen[number].append((data["from"] + len(data["text"]), time.monotonic()))
            elif line.startswith(b"data: ") and name == "done":
                break
        writer.close()


def main() -> None:
    """Run it and print the distribution."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--at-a-time", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-", ignore_cleanup_errors=True) as folder:
        defaults: dict[str, Any] = {n: f.get_default() for n, f in Settings.model_fields.items() if n != "home"}
        settings = Settings(**defaults | {"home": Path(folder)})
        home = open_home(settings.home)
        with running_services(settings, ("postgres", "valkey"), echo=lambda _line: None) as state:
            known, model_port, web_port = state.connections, free_port(), free_port()
            assert known.database_admin_url is not None
            settings = settings.model_copy(update={
                "database_url": migrate(known.database_admin_url, app_password=secret(home, "postgres-app")),
                "redis_url": known.redis_url, "broker_url": known.redis_url,
                "anthropic_base_url": f"http://{LOOPBACK}:{model_port}", "anthropic_api_key": SecretStr("benchmark"),
                "stream_key": SecretStr(_STREAM_KEY), "web_requests_per_minute": 1_000_000,
            })  # fmt: skip
            environment = worker_environment(settings, home) | {
                "ASSAY_STREAM_KEY": _STREAM_KEY,
                "ASSAY_WEB_REQUESTS_PER_MINUTE": "1000000",
                "PYTHONPATH": str(CHECKOUT),
            }
            worker = Part(
                name="worker", command=with_this_python(worker_command("w1")), environment=environment,
                ready=lambda words: " ready." in words,
            )  # fmt: skip
            web = Part(
                name="web", command=[sys.executable, "-m", "web", "--port", str(web_port)], environment=environment,
                ready=lambda words: "startup complete" in words,
            )  # fmt: skip
            with running([worker, web], home) as pids:
                processes = [psutil.Process(pid) for pid in pids]
                before = [_cpu_seconds(process) for process in processes]
                asyncio.run(_measure(settings, arguments.jobs, arguments.at_a_time, model_port, web_port))
                worker_cpu, web_cpu = (
                    _cpu_seconds(process) - was for process, was in zip(processes, before, strict=True)
                )
                sys.stdout.write(f"CPU: worker {worker_cpu:.1f} s, web {web_cpu:.1f} s\n")


async def _measure(settings: Settings, jobs: int, at_a_time: int, model_port: int, web_port: int) -> None:
    assert settings.database_url is not None
    database = Database(settings.database_url)
    model = Model()
    clients = Clients(web_port, create_key(database, "default", "of a benchmark", "producer")[1])
    server = await asyncio.start_server(model.answer, LOOPBACK, model_port)
    places = asyncio.Semaphore(at_a_time)

    async def one(number: int) -> None:
        async with places:
            request = {"text": f"document {number} about billing and shipping", "labels": LABELS}
            done = await asyncio.to_thread(submit_one, database, "default", "classify", request, JobOptions())
            assert done.job_id is not None
            await clients.follow(number, done.job_id)

    await asyncio.gather(*(one(number) for number in range(jobs)))
    server.close()
    database.close()
    first = [clients.seen[n][0][1] - model.written[n][0][1] for n in clients.seen if clients.seen[n]]
    later = [_arrived(clients.seen[n], end) - at for n in model.written for end, at in model.written[n][1:]]
    later = [seconds for seconds in later if seconds != float("inf")]
    sys.stdout.write(f"{jobs} jobs, {at_a_time} at a time, load {os.getloadavg()[0]:.1f}; text came for {len(first)}\n")
    sys.stdout.write(f"first text: {_spread(first)}\nlater text: {_spread(later)}\n")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _arrived(seen: list[tuple[int, float]], end: int) -> float:
    return next((at for until, at in seen if until >= end), float("inf"))


def _spread(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return (
        f"p50 {cuts[49] * 1e3:.0f} ms, p95 {cuts[94] * 1e3:.0f} ms, p99 {cuts[98] * 1e3:.0f} ms,"
        f" max {max(seconds) * 1e3:.0f} ms, n = {len(seconds)}"
    )


if __name__ == "__main__":
    main()
