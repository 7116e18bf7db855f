"""Webhooks as they are met by whoever is told: a real endpoint that answers as a test wants, and what is told to it."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from jobs import webhooks
from jobs.cancel import cancel
from schemas.webhook import NewWebhook, WebhookEvent
from storage.database import Database
from tests.house import submit_text

BOTH = [WebhookEvent.JOB_FINISHED, WebhookEvent.BATCH_FINISHED]


@dataclass
class Received:
    """One notice as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The notice."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """An endpoint that answers as it is told to.

    Attributes:
        answers: statuses of the next answers; then 204.
    """

    url: str
    got: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def types(self) -> list[str]:
        """What was told, in the order in which it came."""
        return [one.json["type"] for one in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A real HTTP server."""
    found = Receiver("")

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append(Received({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.answers.pop(0) if found.answers else 204)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}/hook?a=b"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def endpoint(database: Database, tenant: str, url: str, events: list[WebhookEvent] | None = None) -> NewWebhook:
    """An endpoint that may be anywhere."""
    return webhooks.create(database, tenant, url, events or BOTH, actor="a test", private=True)


def finished_job(database: Database, tenant: str) -> UUID:
    """A job that is over."""
    job = submit_text(database, tenant, "x")
    cancel(database, tenant, job)
    return job


def is_signed(received: Received, secret: str) -> bool:
    """Whether one of the signatures is of this secret, checked as the standard says."""
    signed = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return wanted in received.headers["webhook-signature"].split(" ")
