"""The API of a test: the whole application behind uvicorn on a free port, and clients with keys."""

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from jobs import review_rates, review_upkeep
from jobs.tenancy import create_key
from schemas.access import Role
from schemas.answer import AnsweredBy
from schemas.failure import Failure, FailureReason
from schemas.ids import new_id
from storage import leases
from storage.database import Database
from tests.event_world import Web
from tests.house import LABELS, House, publish_all, settings_of, submit_text
from web.app import make_app

CLASSIFY = {"task": "classify", "input": {"text": "charged twice", "labels": LABELS}}
BATCHES = "/v1/batches?" + urlencode({"task": "classify", "defaults": json.dumps({"labels": LABELS})})
JSONL = {"Content-Type": "application/jsonl"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """The body as JSONL, parsed."""
        return [json.loads(line) for line in self.body.splitlines()]

    def problem(self, status: int, kind: str) -> dict[str, Any]:
        """The problem document that this is, checked for status and type."""
        assert (self.status, self.headers["content-type"]) == (status, "application/problem+json"), self
        found: dict[str, Any] = self.json
        assert (found["status"], found["type"]) == (status, f"/problems/{kind}"), found
        assert found["title"]
        assert found["detail"]
        assert found["what_to_do"]
        return found


@dataclass(frozen=True)
class Api:
    """A client with one key."""

    port: int
    key: str | None

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request; what is neither bytes nor an iterator of bytes goes as JSON."""
        sent = dict(headers or {})
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        raw: Any = body
        if body is not None and not isinstance(body, bytes | Iterator):
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, raw, sent, encode_chunked=isinstance(body, Iterator))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        """POST as JSON; headers with _ for -."""
        return self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def upload(self, lines: Iterable[bytes], path: str = BATCHES, **headers: str) -> Answer:
        """POST lines, chunk by chunk."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        pieces = (line + b"\n" for line in lines)
        return self.ask("POST", path, pieces, {**JSONL, "Transfer-Encoding": "chunked", **named})

    def delete(self, path: str) -> Answer:
        """DELETE."""
        return self.ask("DELETE", path)

    def submitted(self, **more: object) -> str:
        """Submit one document; its job's id."""
        answer = self.post("/v1/jobs", {**CLASSIFY, **more})
        assert answer.status == 201, answer
        return str(answer.json["job_id"])


@contextmanager
def serving(house: House, **more: Any) -> Iterator[int]:
    """The application; its port. ``more`` are settings."""
    with Web(make_app(settings_of(house, web_requests_per_minute=1_000_000, **more))) as web:
        yield web.port


def client(database: Database, port: int, tenant: str, role: Role = Role.PRODUCER) -> Api:
    """A client with a new key."""
    _, key = create_key(database, tenant, f"a {role.value}", role.value)
    return Api(port, key)


def texts(count: int, first: int = 1) -> list[bytes]:
    """Good lines, with ids."""
    return [json.dumps({"text": f"text {n}", "id": n}).encode() for n in range(first, first + count)]


def in_review(database: Database, tenant: str, text: str = "charged twice", evidence: str | None = None) -> UUID:
    """A job that waits for a person, as a worker leaves it, with a suggestion."""
    job_id = submit_text(database, tenant, text)
    publish_all(database)
    failure = Failure(reason=FailureReason.REFUSED, detail="the model declined")
    suggested = {"outcome": "classification", "labels": ["billing"], "confidence": 0.4, "evidence": evidence or text}
    with database.tenant(tenant) as connection:
        claimed = leases.claim(connection, job_id, new_id(), 30)
        assert claimed is not None
        assert leases.conclude_in_review(connection, claimed, failure, suggested)
    return job_id


def drawn(database: Database, tenant: str, text: str = "charged twice", evidence: str | None = None) -> UUID:
    """A job that the model has answered and that waits for a second opinion."""
    review_rates.set_rate(database, tenant, "classify", 1)
    job_id = submit_text(database, tenant, text)
    publish_all(database)
    answer = {"outcome": "classification", "labels": ["billing"], "confidence": 0.9, "evidence": evidence or text}
    with database.tenant(tenant) as connection:
        claimed = leases.claim(connection, job_id, new_id(), 30)
        assert claimed is not None
        assert leases.conclude_answered(connection, claimed, AnsweredBy.MODEL, answer, attempt=None, failure=None)
    assert review_upkeep.sample_answers(database, lag_seconds=0) >= 1
    return job_id
