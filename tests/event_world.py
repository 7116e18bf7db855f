"""A web process of a test, in threads of its own, and a client that reads its events as they come."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import uvicorn
from fastapi import FastAPI

from jobs.tenancy import create_key
from schemas.settings import Settings
from storage.database import Database
from tests.house import House, eventually, settings_of

STREAM_KEY = "only-for-tests-and-long-enough-to-be-one"


@dataclass
class Event:
    """An event as a client gets it; an id that is not sent is None."""

    name: str
    data: dict[str, Any]
    id: str | None


@dataclass
class Stream:
    """An open stream of events, read in a thread of its own."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    events: list[Event] = field(default_factory=list)
    comments: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, name="event client", daemon=True).start()

    @property
    def states(self) -> list[str]:
        """Ids of the states that came."""
        return [event.id or "" for event in self.events if event.name == "state"]

    @property
    def last_id(self) -> str | None:
        """What a client that comes back sends."""
        ids = [event.id for event in self.events if event.id is not None]
        return ids[-1] if ids else None

    def text(self) -> str:
        """The text as a client puts it together."""
        text = ""
        for event in self.events:
            if event.name == "text":
                assert event.data["from"] in {0, len(text)}
                text = text[: event.data["from"]] + event.data["text"]
        return text

    def until(self, fact: Callable[["Stream"], Any], what: str) -> Self:
        """Wait for what the events show."""
        eventually(lambda: fact(self), f"{what}; got {self.events}")
        return self

    def until_done(self) -> dict[str, Any]:
        """Wait for the end; the last event's data."""
        eventually(self.ended.is_set, f"the stream has ended; got {self.events}")
        assert self.events[-1].name == "done"
        return self.events[-1].data

    def leave(self) -> None:
        """Go away without a word, as a client whose network is gone."""
        if self.connection.sock is not None:
            self.connection.sock.shutdown(2)
        eventually(self.ended.is_set, "the reading has ended")

    def _read(self) -> None:
        block: dict[str, str] = {}
        try:
            for line in self._lines():
                if line:
                    name, _, value = line.partition(": ")
                    self.comments += not name
                    block[name] = value
                    continue
                if "event" in block:
                    self.events.append(Event(block["event"], json.loads(block["data"]), block.get("id")))
                block = {}
        except (OSError, http.client.HTTPException, ValueError):
            block = {}  # cut off, or left
        finally:
            self.ended.set()
            self.connection.close()

    def _lines(self) -> Iterator[str]:
        while line := self.response.readline():
            yield line.decode().rstrip("\n")


class Web:
    """A web process: the whole application behind uvicorn on a free port."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="web")

    def __enter__(self) -> Self:
        self._thread.start()
        eventually(lambda: self._server.started or not self._thread.is_alive(), "the web is up")
        assert self._server.started
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    def get(
        self, path: str, key: str | None, **headers: str
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask; the answer's body is not read yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        connection.request("GET", path, headers=sent)
        return connection, connection.getresponse()

    def status(self, path: str, key: str | None, **headers: str) -> tuple[int, bytes]:
        """Ask, and read the whole answer."""
        connection, response = self.get(path, key, **headers)
        body = response.read()
        connection.close()
        return response.status, body

    def follow(self, path: str, key: str, last_event_id: str | None = None) -> Stream:
        """Open a stream of events."""
        more = {} if last_event_id is None else {"Last_Event_ID": last_event_id}
        connection, response = self.get(path, key, **more)
        assert response.status == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        return Stream(connection, response)

    def follow_job(self, job_id: UUID, key: str, last_event_id: str | None = None) -> Stream:
        """Open a job's stream."""
        return self.follow(f"/v1/jobs/{job_id}/events", key, last_event_id)


def web_settings(house: House, **more: Any) -> Settings:
    """Settings of a web process that can read partial text."""
    return settings_of(house, stream_key=STREAM_KEY, **more)


def producer_key(database: Database, tenant: str) -> str:
    """A producer's key."""
    return create_key(database, tenant, "of one test", "producer")[1]
