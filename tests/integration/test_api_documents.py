"""The OpenAPI document: it is valid, complete, and its examples do what it says."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from jobs import second_review
from schemas.access import Role
from schemas.review import Decision
from storage.database import Database
from tasks import find_task
from tests.api_world import BATCHES, Api, client, drawn, in_review, texts
from web.api import examples, review_examples

pytestmark = pytest.mark.usefixtures("clean")
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def api(database: Database, port: int, tenant: str) -> Api:
    """A producer of a tenant of its own."""
    return client(database, port, tenant)


@pytest.fixture(scope="module")
def document(port: int) -> dict[str, Any]:
    """As anybody may read it."""
    found: dict[str, Any] = Api(port, None).get("/v1/openapi.json").json
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Of a schema that refers to the document's components."""
    return jsonschema_rs.validator_for({**schema, "components": document["components"]})


def test_every_operation_says_what_it_needs_and_answers(document: dict[str, Any]) -> None:
    """A text for people, the key it needs, every problem that any request with a key may meet."""
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["description"], where
        assert operation["security"] == [{"HTTPBearer": []}], where
        assert {"401", "404", "429", "503"} <= set(operation["responses"]), where
        assert "HTTPValidationError" not in json.dumps(operation), where
    assert len({operation["operationId"] for _, _, operation in operations(document)}) == len(
        list(operations(document))
    )


def test_every_example_fits_the_schema_it_stands_beside(document: dict[str, Any]) -> None:
    """Of requests and of answers; and every operation that answers JSON, or takes a body, has one."""
    for method, path, operation in operations(document):
        bodies = [("body", operation["requestBody"]["content"])] if "requestBody" in operation else []
        answers = [(status, answer.get("content", {})) for status, answer in operation["responses"].items()]
        for where, content in bodies + answers:
            for media_type, described in content.items():
                named = f"{method} {path} {where} {media_type}"
                if media_type == "text/event-stream":
                    assert described["example"], named
                    continue
                assert described["examples"], named
                for example in described["examples"].values():
                    validator(document, described["schema"]).validate(example["value"])


def test_every_example_of_a_body_is_accepted(
    api: Api, database: Database, port: int, tenant: str, document: dict[str, Any]
) -> None:
    """Sent as it stands, to something that is there, it is answered as documented."""
    reviewer = client(database, port, tenant, Role.REVIEWER)
    query = {"/v1/batches": f"?task=classify&defaults={quote(examples.DEFAULTS)}"}
    sent = []
    for method, path, operation in operations(document):
        for media_type, described in operation.get("requestBody", {}).get("content", {}).items():
            for name, example in described["examples"].items():
                body = example["value"].encode() if isinstance(example["value"], str) else example["value"]
                asking = reviewer if path.startswith("/v1/reviews") else api
                address = path.format(**claimed(path, reviewer, database, tenant)) + query.get(path, "")
                answer = asking.ask(method, address, body, {"Content-Type": media_type})
                assert str(answer.status) == next(iter(operation["responses"])), (path, name, answer)
                sent.append(f"{path} {name}")
    assert len(sent) == len(set(sent)) + 1  # the lines have two types
    assert {path.partition(" ")[0] for path in sent} == {
        path for _, path, operation in operations(document) if "requestBody" in operation
    }


def claimed(path: str, reviewer: Api, database: Database, tenant: str) -> dict[str, str]:
    """What a path of reviews names: of a document of the examples, held by this reviewer under its first fence."""
    text, quote = examples.INVOICE_TEXT, "charged twice"
    if not path.startswith("/v1/reviews/"):
        return {}
    if path.endswith("/verdict"):
        return {"job_id": to_be_judged(reviewer, database, tenant)}
    if path.startswith("/v1/reviews/second/"):
        job_id = str(drawn(database, tenant, text, evidence=quote))
        assert reviewer.post(f"/v1/reviews/second/{job_id}/claim").json["fence"] == 1
        return {"job_id": job_id}
    job_id = str(in_review(database, tenant, text, evidence=quote))
    assert reviewer.post(f"/v1/reviews/{job_id}/claim").json["fence"] == 1
    (held,) = [one for one in reviewer.get("/v1/reviews/held").json["reviews"] if one["job_id"] == job_id]
    return {"job_id": job_id, "cluster": held["cluster"]}


def to_be_judged(reviewer: Api, database: Database, tenant: str) -> str:
    """A second review in which somebody else differs from the model, held by this reviewer."""
    job_id = drawn(database, tenant)
    assert second_review.claim(database, [tenant], "ann", 60, job_id=job_id) is not None
    second_review.decide(database, tenant, job_id, "ann", Decision.REJECT)
    assert reviewer.post(f"/v1/reviews/second/{job_id}/claim").json["stage"] == "third"
    return str(job_id)


def test_answers_in_examples_are_answers_that_tasks_give() -> None:
    """They meet the contract of their task."""
    for example in (examples.ANSWERED, review_examples.HELD_REVIEW):
        task = find_task(str(example["task"]))
        checked = task.check(
            task.read_request(examples.CLASSIFY_INPUT), example.get("answer", example.get("suggestion"))
        )
        assert not isinstance(checked, list), checked


def test_what_is_answered_is_what_is_documented(
    api: Api, database: Database, port: int, tenant: str, document: dict[str, Any]
) -> None:
    """Each operation, with ids that exist, answers its success, and its body fits the schema."""
    batch = api.upload(texts(2)).json["batch_id"]
    job = api.submitted()
    review, second = in_review(database, tenant), drawn(database, tenant)
    in_review(database, tenant)
    reviewer = client(database, port, tenant, Role.REVIEWER)
    assert reviewer.post("/v1/reviews/next").status == 200
    in_review(database, tenant)
    asked = {
        "/v1/reviews": "/v1/reviews", "/v1/reviews/{job_id}": f"/v1/reviews/{review}",
        "/v1/reviews/counts": "/v1/reviews/counts", "/v1/reviews/held": "/v1/reviews/held",
        "/v1/reviews/clusters": "/v1/reviews/clusters", "/v1/reviews/second": "/v1/reviews/second",
        "/v1/reviews/second/{job_id}": f"/v1/reviews/second/{second}",
        "/v1/jobs": "/v1/jobs", "/v1/jobs/{job_id}": f"/v1/jobs/{job}", "/v1/tasks": "/v1/tasks",
        "/v1/batches": "/v1/batches", "/v1/batches/{batch_id}": f"/v1/batches/{batch}",
        "/v1/batches/{batch_id}/results": f"/v1/batches/{batch}/results",
    }  # fmt: skip
    for path, address in asked.items():
        answer = (reviewer if path.startswith("/v1/reviews") else api).get(address)
        described = document["paths"][path]["get"]["responses"][str(answer.status)]["content"]
        media_type = answer.headers["content-type"]
        body = answer.json if media_type == "application/json" else answer.body.decode()
        validator(document, described[media_type]["schema"]).validate(body)
        assert answer.status == 200


def test_the_page_for_people_names_every_operation(api: Api, document: dict[str, Any]) -> None:
    """Without a script, and with a link to the document."""
    page = Api(api.port, None).get("/v1")
    assert page.headers["content-type"].startswith("text/html")
    text = page.body.decode()
    assert "<script" not in text
    assert "/v1/openapi.json" in text
    for method, path, _ in operations(document):
        assert f"<code>{method} {path}</code>" in text


def test_the_address_of_batches_that_tests_use_is_the_documented_one(document: dict[str, Any]) -> None:
    """Its parameters are those of the document."""
    names = {one["name"] for one in document["paths"]["/v1/batches"]["post"]["parameters"]}
    assert {"task", "defaults"} <= names
    assert BATCHES.startswith("/v1/batches?task=")
