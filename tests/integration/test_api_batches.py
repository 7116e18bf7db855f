"""Many documents over HTTP: streamed in, continued, streamed out, cancelled, retried."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

from jobs.jsonl import CHUNK_LINES
from schemas.access import Role
from storage.database import Database
from tests.api_world import BATCHES, JSONL, Api, client, texts
from tests.house import LABELS, House, eventually

pytestmark = pytest.mark.usefixtures("clean")
WHOLE = CHUNK_LINES * 2 + 300


@pytest.fixture
def api(database: Database, port: int, tenant: str) -> Api:
    """A producer of a tenant of its own."""
    return client(database, port, tenant)


def count(house: House, table: str, tenant: str) -> int:
    """A tenant's rows in a table."""
    return int(house.query(f"SELECT count(*) FROM {table} WHERE tenant_id = %s", tenant)[0][0])


@contextmanager
def dying(api: Api, lines: list[bytes], headers: dict[str, str]) -> Iterator[None]:
    """A client that sends these lines and a half one more, and then, at the end of the block, is gone."""
    head = {"Host": "x", "Authorization": f"Bearer {api.key}", "Transfer-Encoding": "chunked", **JSONL, **headers}
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.sendall(f"POST {BATCHES} HTTP/1.1\r\n".encode())
        connection.sendall("".join(f"{name}: {value}\r\n" for name, value in head.items()).encode() + b"\r\n")
        for line in [*(line + b"\n" for line in lines), b'{"text": "hal']:
            connection.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        yield


def test_lines_become_jobs_and_come_back_in_order(api: Api, house: House, tenant: str) -> None:
    """Every line is a job of the batch with its line number and its own id; the results are a line each, in order."""
    made = api.upload(texts(WHOLE))
    assert made.status == 201
    assert made.json == {
        "batch_id": made.json["batch_id"], "task": "classify", "total": WHOLE, "repeated": False, "resumed_lines": 0,
    }  # fmt: skip
    results = api.get(f"{made.headers['location']}/results")
    assert results.headers["content-type"] == "application/jsonl"
    assert [(one["line"], one["reference"]) for one in results.lines] == [(n, str(n)) for n in range(1, WHOLE + 1)]
    rest = api.get(f"{made.headers['location']}/results?after={WHOLE - 2}").lines
    assert [one["line"] for one in rest] == [WHOLE - 1, WHOLE]


def test_a_client_that_dies_and_sends_again_loses_and_doubles_nothing(api: Api, house: House, tenant: str) -> None:
    """What had arrived waits, without a job; the same lines with the same key add the rest. Once more is the same batch."""
    with dying(api, texts(CHUNK_LINES * 2 + 10), {"Idempotency-Key": "k"}):
        eventually(lambda: count(house, "arrivals", tenant) == CHUNK_LINES * 2, "two pieces have arrived")
    assert count(house, "jobs", tenant) == 0
    (listed,) = api.get("/v1/batches").json["batches"]
    assert api.get(f"/v1/batches/{listed['batch_id']}").json["state"] == "receiving"
    made = api.upload(texts(WHOLE), Idempotency_Key="k")
    assert (made.status, made.json["resumed_lines"], made.json["batch_id"]) == (
        201,
        CHUNK_LINES * 2,
        listed["batch_id"],
    )
    again = api.upload(texts(WHOLE), Idempotency_Key="k")
    assert (again.status, again.json["repeated"]) == (200, True)
    assert [count(house, table, tenant) for table in ("jobs", "inputs", "arrivals", "batches")] == [WHOLE, WHOLE, 0, 1]
    other = api.upload(texts(WHOLE - 1), Idempotency_Key="k")
    other.problem(409, "idempotency-conflict")


def test_an_upload_without_a_key_that_breaks_off_leaves_nothing(api: Api, house: House, tenant: str) -> None:
    """It could never be continued: its lines are gone as soon as its client is, and so is its thread."""
    with dying(api, texts(CHUNK_LINES + 10), {}):
        eventually(lambda: count(house, "arrivals", tenant) == CHUNK_LINES, "a piece has arrived")
    eventually(lambda: count(house, "batches", tenant) == 0, "it is gone")
    assert count(house, "arrivals", tenant) == 0


def test_more_uploads_than_a_tenants_share_are_told_to_wait(api: Api) -> None:
    """Half of the uploads of a process may be one tenant's: one more is refused at once, and served when one has ended."""
    stop = threading.Event()

    def slow() -> Iterator[bytes]:
        yield texts(1)[0]
        stop.wait()

    threads = [threading.Thread(target=api.upload, args=(slow(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(api.get("/v1/batches").json["batches"]) == 4, "four uploads are under way")
    refused = api.upload(texts(1))
    refused.problem(503, "unavailable")
    assert refused.headers["retry-after"] == "5"
    stop.set()
    for thread in threads:
        thread.join()
    assert api.upload(texts(1)).status == 201


def test_a_wrong_line_is_named_and_nothing_is_made(api: Api, house: House, tenant: str) -> None:
    """The problem has an error for each wrong line, whose path is the line; the batch is gone."""
    lines = texts(CHUNK_LINES + 5)
    lines[CHUNK_LINES + 1], lines[CHUNK_LINES + 3] = b"{", b'{"text": "x", "tone": "kind"}'
    found = api.upload(lines, Idempotency_Key="k").problem(422, "invalid-input")
    assert [one["path"] for one in found["errors"]][:2] == [f"line {CHUNK_LINES + 2}", f"line {CHUNK_LINES + 4}"]
    assert "there is no such field" in found["errors"][1]["detail"]
    assert count(house, "batches", tenant) == 0


def test_a_refused_upload_is_read_to_its_end(api: Api) -> None:
    """Many megabytes behind the last wrong line do not keep the client from reading why."""
    lines = [b"{"] * 20 + [json.dumps({"text": "x" * 100_000}).encode()] * 100
    api.upload(iter(lines)).problem(422, "invalid-input")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "holds no lines"),
        (b"\n\n", "holds no lines"),
        (b"\xff\n", "line 1: is not UTF-8"),
        (b'{"text": "x", "id": ' + b"9" * 5000 + b"}\n", "line 1: is not JSON"),
        (b'{"text": "x", "labels": NaN}\n', "line 1: is not JSON"),
        (b"[" * 100_000, "line 1: is not JSON"),
        (b'{"text": "a\\u0000"}', "line 1: text: holds a NUL"),
        (b'{"text": "' + b"x" * 17 * 1024**2 + b'"}\n{"text": ""}', "line 1: is longer than 16 MiB"),
    ],
)
def test_bad_lines_are_sentences(api: Api, body: bytes, words: str) -> None:
    """Whatever a line holds, the answer is a problem that says which and why."""
    found = api.ask("POST", BATCHES, body, JSONL).problem(422, "invalid-input")
    assert words in found["detail"]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("", "task"),
        ("task=translate", "task"),
        ("task=classify&defaults=%7B", "defaults"),
        ("task=classify&defaults=[]", "defaults"),
        ("task=classify&defaults=%7B%22labels%22:NaN%7D", "defaults"),
        ("task=classify&deadline=tomorrow", "deadline"),
        ("task=classify&deadline=3600", "deadline"),
        ("task=classify&priority=urgent", "priority"),
        ("task=classify&labels=a", "labels"),
    ],
)
def test_wrong_parameters_are_named(api: Api, query: str, path: str) -> None:
    """Before a byte of the body is looked at."""
    found = api.ask("POST", f"/v1/batches?{query}", b"{", JSONL).problem(400, "invalid-request")
    assert found["errors"][0]["path"] == path


def test_lines_may_be_cut_anywhere(api: Api) -> None:
    """Chunks of seven bytes make the same lines."""
    whole = b"\n".join(texts(30))
    pieces = (whole[at : at + 7] for at in range(0, len(whole), 7))
    made = api.ask("POST", BATCHES, pieces, {**JSONL, "Transfer-Encoding": "chunked"})
    assert (made.status, made.json["total"]) == (201, 30)


def test_options_and_defaults_reach_every_job(api: Api, house: House) -> None:
    """Query parameters hold for all lines; a line's own fields win over the defaults."""
    lines = [b'{"text": "x"}', b'{"text": "y", "labels": ["own", "more"]}']
    made = api.upload(lines, BATCHES + "&priority=low&fallback=fail&deadline=P1D&on_outage=person&prompt_version=v1")
    assert made.status == 201, made
    rows = house.query(
        "SELECT j.priority, j.fallback, j.on_outage, j.prompt_version, i.request FROM jobs j JOIN inputs i ON i.job_id = j.id"
        " WHERE batch_id = %s ORDER BY line",
        made.json["batch_id"],
    )
    assert [row[:4] for row in rows] == [(-1, "fail", "person", "v1")] * 2
    assert [row[4]["labels"] for row in rows] == [LABELS, ["own", "more"]]


def test_a_batch_is_cancelled_whole(api: Api, house: House, tenant: str) -> None:
    """Every job that is not over; a batch that is still arriving is dropped, and its key is free."""
    whole = api.upload(texts(3)).json["batch_id"]
    assert api.delete(f"/v1/batches/{whole}").json == {"batch_id": whole, "cancelled": 3, "upload_dropped": False}
    view = api.get(f"/v1/batches/{whole}").json
    assert (view["state"], view["landed"], view["states"]) == ("over", 3, {"cancelled": 3})
    with dying(api, texts(CHUNK_LINES + 1), {"Idempotency-Key": "k"}):
        eventually(lambda: count(house, "arrivals", tenant) == CHUNK_LINES, "a piece has arrived")
    (open_one,) = [one["batch_id"] for one in api.get("/v1/batches").json["batches"] if one["received_at"] is None]
    api.get(f"/v1/batches/{open_one}/results").problem(409, "state-conflict")
    assert api.delete(f"/v1/batches/{open_one}").json["upload_dropped"] is True
    assert api.upload(texts(2), Idempotency_Key="k").status == 201


def test_failed_jobs_are_queued_again(api: Api, house: House) -> None:
    """Only they: what was cancelled stays."""
    batch = api.upload(texts(3)).json["batch_id"]
    house.run(f"UPDATE jobs SET state = 'failed', finished_at = now() WHERE batch_id = '{batch}' AND line = 2")
    house.run(f"UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE batch_id = '{batch}' AND line = 3")
    assert api.post(f"/v1/batches/{batch}/retry").json == {"batch_id": batch, "retried": 1}
    assert api.get(f"/v1/batches/{batch}").json["states"] == {"queued": 2, "cancelled": 1}


def test_batches_are_listed_newest_first(api: Api) -> None:
    """Page by page, each once."""
    made = [api.upload(texts(1)).json["batch_id"] for _ in range(5)]
    first = api.get("/v1/batches?limit=3").json
    second = api.get(f"/v1/batches?limit=3&after={first['next']}").json
    assert [one["batch_id"] for one in first["batches"] + second["batches"]] == made[::-1]
    assert second["next"] is None


def test_a_strangers_body_is_not_read(api: Api, database: Database, port: int, tenant: str) -> None:
    """Without a key, or with a reviewer's, an upload is refused before its body is looked at."""
    endless = (b'{"text": "x"}\n' for _ in range(50))
    Api(port, None).ask("POST", BATCHES, endless, JSONL).problem(401, "unauthenticated")
    client(database, port, tenant, Role.REVIEWER).upload(texts(1)).problem(404, "not-found")
    for path in (f"/v1/batches/{uuid4()}", f"/v1/batches/{uuid4()}/results"):
        api.get(path).problem(404, "not-found")


def test_other_types_are_refused(api: Api) -> None:
    """An upload says what it is; a compressed one is not taken."""
    for headers in ({"Content-Type": "application/json"}, {}, {**JSONL, "Content-Encoding": "gzip"}):
        api.ask("POST", BATCHES, b'{"text": "x"}', headers).problem(415, "unsupported-media-type")
