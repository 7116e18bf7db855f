"""Everything that can be wrong with a request is answered by a problem document, and by the same one each time."""

import http.client
import json

import pytest

from jobs.tenancy import create_key
from schemas.access import Role
from storage.database import Database
from tests.api_world import CLASSIFY, Api, client, serving
from tests.house import LABELS, House

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api(database: Database, port: int, tenant: str) -> Api:
    """A producer of a tenant of its own."""
    return client(database, port, tenant)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON (line 1, column 2)"),
        (b'{"task": "classify", "input": {"text": NaN}}', "is not JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe{}", "is not UTF-8"),
    ],
)
def test_what_is_not_json_is_said_to_be_none(api: Api, body: bytes, words: str) -> None:
    """Broken, endless, of numbers beyond reason, or not text at all."""
    found = api.ask("POST", "/v1/jobs", body, JSON).problem(400, "invalid-request")
    assert words in found["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], ""),
        ({}, "task"),
        ({**CLASSIFY, "task": "translate"}, "task"),
        ({**CLASSIFY, "task": 7}, "task"),
        ({**CLASSIFY, "more": 1}, "more"),
        ({**CLASSIFY, "\ud800": 1}, ""),
        ({**CLASSIFY, "input": "x"}, "input"),
        ({**CLASSIFY, "input": {"labels": LABELS}}, "input.text"),
        ({**CLASSIFY, "input": {"text": "x", "labels": ["a"]}}, "input.labels"),
        ({**CLASSIFY, "input": {"text": "x", "labels": ["a", ""]}}, "input.labels.1.name"),
        ({**CLASSIFY, "input": {"text": "a\x00b", "labels": LABELS}}, "input.text"),
        ({**CLASSIFY, "input": {"text": "\ud800", "labels": LABELS}}, "input.text"),
        ({**CLASSIFY, "options": {"priority": "urgent"}}, "options.priority"),
        ({**CLASSIFY, "options": {"deadline": 3600}}, "options.deadline"),
        ({**CLASSIFY, "options": {"deadline": "3600"}}, "options.deadline"),
        ({**CLASSIFY, "options": {"deadline": "P9999D"}}, "options.deadline"),
        ({**CLASSIFY, "options": {"deadline": "9999-12-31T23:59:59-12:00"}}, "options.deadline"),
        ({**CLASSIFY, "options": {"deadline": "2026-02-30T00:00:00Z"}}, "options.deadline"),
        ({**CLASSIFY, "options": {"prompt_version": "v99"}}, ""),
    ],
)
def test_a_wrong_field_is_named_by_its_path(api: Api, body: object, path: str) -> None:
    """The path leads through the body that was sent, and the document's text is not repeated."""
    found = api.post("/v1/jobs", body).problem(422, "invalid-input")
    assert found["errors"][0]["path"] == path
    assert found["errors"][0]["detail"]


def test_a_schema_beyond_what_is_supported_is_refused_with_its_place(api: Api) -> None:
    """Nothing is written for it."""
    schema = {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}}
    body = {"task": "extract", "input": {"text": "x", "schema": schema}}
    assert "properties.a" in api.post("/v1/jobs", body).problem(422, "invalid-input")["detail"]


def test_a_document_of_the_largest_size_fits_and_a_larger_body_does_not(api: Api) -> None:
    """A million characters, each an escape of twelve bytes, are taken; what is over 16 MiB is refused, by its length as well as
    while it comes in pieces."""
    largest = {**CLASSIFY, "input": {"text": "\U0001f600" * 1_000_000, "labels": LABELS}}
    assert len(json.dumps(largest)) > 12_000_000
    assert api.post("/v1/jobs", largest).status == 201
    too_large = b'{"task": "' + b"x" * 17 * 1024**2
    refusals = [
        api.ask("POST", "/v1/jobs", iter([too_large[at : at + 65536] for at in range(0, len(too_large), 65536)]), {
            **JSON, "Transfer-Encoding": "chunked",
        }),
    ]  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=60)
    connection.putrequest("POST", "/v1/jobs")
    for name, value in {**JSON, "Authorization": f"Bearer {api.key}", "Content-Length": str(2**40)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["type"]) == (413, "/problems/too-large")
    connection.close()
    refusals[0].problem(413, "too-large")


@pytest.mark.parametrize("sent", [None, "text/plain", "application/jsonl", "multipart/form-data"])
def test_a_body_of_another_type_is_refused(api: Api, sent: str | None) -> None:
    """It is not guessed what it might be."""
    headers = {} if sent is None else {"Content-Type": sent}
    api.ask("POST", "/v1/jobs", b"{}", headers).problem(415, "unsupported-media-type")


def test_a_charset_beside_the_type_is_no_other_type(api: Api) -> None:
    """Clients write it so."""
    body = json.dumps(CLASSIFY).encode()
    assert api.ask("POST", "/v1/jobs", body, {"Content-Type": "Application/JSON; charset=utf-8"}).status == 201


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v1/jobs?limit=0", "limit"),
        ("/v1/jobs?limit=x", "limit"),
        ("/v1/jobs?limit=201", "limit"),
        ("/v1/jobs?limit=99999999999999999999", "limit"),
        ("/v1/jobs?state=lost", "state"),
        ("/v1/jobs?task=translate", "task"),
        ("/v1/jobs?batch_id=7", "batch_id"),
        ("/v1/jobs?colour=red", "colour"),
        ("/v1/jobs?%00=1", "\x00"),
        ("/v1/tasks?limit=1", "limit"),
    ],
)
def test_a_wrong_parameter_is_named(api: Api, path: str, where: str) -> None:
    """An unknown one as well: a mistyped filter that is ignored would show more than was asked for."""
    found = api.get(path).problem(400, "invalid-request")
    assert found["errors"][0]["path"] == where


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "ü", "\t"])
def test_an_idempotency_key_is_visible_ascii(api: Api, key: str) -> None:
    """Anything else is refused before it is looked up."""
    sent = {**JSON, "Idempotency-Key": key.encode("latin-1").decode("latin-1")}
    found = api.ask("POST", "/v1/jobs", json.dumps(CLASSIFY).encode(), sent).problem(400, "invalid-request")
    assert found["errors"][0]["path"] == "Idempotency-Key"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/7", "/v1/jobs/..%2f..%2fetc%2fpasswd", "/v1/jobs/../batches/%00", "/v1/batches/%2e%2e/results",
        "/v1/jobs/%0d%0aSet-Cookie:%20a=b", "/v1/", "/v1/jobs/", "/v2/jobs", "/static/../app.py", "/static/%2e%2e/app.py",
        "/static/..%2f..%2fpyproject.toml", "/static//etc/passwd",
    ],
)  # fmt: skip
def test_what_is_no_address_is_not_found(api: Api, path: str) -> None:
    """Ids that are none, paths that climb, line ends: 404, no redirect, no header of the client's making."""
    found = api.get(path)
    found.problem(404, "not-found")
    assert not {"set-cookie", "location"} & set(found.headers)


def test_what_was_sent_makes_no_header(api: Api) -> None:
    """Line ends in parameters that come back in a header, as those of Link do, stay encoded."""
    for _ in range(2):
        api.submitted()
    found = api.get("/v1/jobs?limit=1&task=classify%0d%0aX-Evil:%201")
    found.problem(400, "invalid-request")
    assert "x-evil" not in found.headers


def test_an_unknown_method_is_told_those_there_are(api: Api) -> None:
    """405 with Allow."""
    found = api.ask("PUT", "/v1/jobs")
    found.problem(405, "method-not-allowed")
    assert set(found.headers["allow"].split(", ")) == {"GET", "POST"}


def test_keys_that_are_none_are_refused_alike(api: Api, database: Database, port: int) -> None:
    """Missing, malformed, unknown: the same 401, naming the scheme."""
    answers = [
        Api(port, None).get("/v1/jobs"),
        Api(port, None).get("/v1/jobs", Authorization="Basic x"),
        Api(port, None).get("/v1/jobs", Authorization="Bearer "),
        Api(port, "assay_" + "x" * 43).get("/v1/jobs"),
        Api(port, "ü").get("/v1/jobs"),
    ]
    for answer in answers:
        answer.problem(401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert len({answer.body for answer in answers}) == 1


def test_every_answer_has_the_headers_of_safety_and_an_id(api: Api) -> None:
    """Errors too; answers are kept by no cache, and each request has an id of its own."""
    answers = [api.get("/v1/jobs"), api.get("/v1/jobs/7"), api.get("/nowhere"), Api(api.port, None).get("/v1/jobs")]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
    assert len({answer.headers["assay-request-id"] for answer in answers}) == len(answers)


def test_the_rate_of_a_key_is_told_and_kept(house: House, database: Database, tenant: str) -> None:
    """Each answer says what is left; at the end 429 says when to come back; another key is not touched by it."""
    with serving(house) as port:
        made, key = create_key(database, tenant, "slow", Role.PRODUCER.value)
        house.run(f"UPDATE api_keys SET requests_per_minute = 3 WHERE id = '{made}'")
        api = Api(port, key)
        left = []
        for _ in range(3):
            answer = api.get("/v1/jobs")
            assert (answer.status, answer.headers["ratelimit-policy"]) == (200, '"key";q=3;w=60')
            left.append(answer.headers["ratelimit"].partition(";")[2].partition(";")[0])
        assert left == ["r=2", "r=1", "r=0"]
        refused = api.get("/v1/jobs")
        refused.problem(429, "rate-limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert client(database, port, tenant).get("/v1/jobs").status == 200


def test_a_mistake_of_ours_is_a_problem_too(
    house: House, database: Database, tenant: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with the request's id, by which the log names it; the log repeats nothing that the error says."""

    def mistaken(*_arguments: object, **_named: object) -> None:
        raise RuntimeError(" ".join(["the", "text", "of", "a", "document"]))

    with serving(house) as port:
        api = client(database, port, tenant)
        monkeypatch.setattr("web.api.jobs.listing.list_jobs", mistaken)
        answer = api.get("/v1/jobs")
    found = answer.problem(500, "internal")
    assert found["instance"] == answer.headers["assay-request-id"]
    assert found["instance"] in caplog.text
    assert "RuntimeError" in caplog.text
    assert "the text of a document" not in caplog.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
