"""The scripted provider is as strict as the real API, plays by its rules, and answers any task validly by default."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.pipeline import Prepared, prepare, pursue
from orchestration.provider import AnthropicProvider
from schemas.answer import Answer
from stack.scripted import ScriptedProvider, plays
from tasks import find_task
from tests.unit.orchestration.parts import MODELS, MemoryLedger, settings, soon

HEADERS = {"authorization": "Bearer k", "anthropic-version": "2026-10-21", "content-type": "application/json"}
GOOD: dict[str, Any] = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi there"}]}
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False}


@pytest.fixture
def scripted() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


def ask(
    url: str, body: object = None, headers: dict[str, str] | None = None, method: str | None = None
) -> tuple[int, Any]:
    """One HTTP exchange: status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, HEADERS if headers is None else headers, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def formatted(schema: object) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"temperature": 0}, "temperature"),
        ({"output_format": {}}, "output_format: Extra inputs are not permitted"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "non-empty"),
        ({"messages": [*GOOD["messages"], {"role": "assistant", "content": "{"}]}, "prefill"),
        (formatted({"type": "object", "properties": {}}), "additionalProperties"),
        (formatted({"type": "string", "maxLength": 3}), "maxLength"),
        (formatted({"type": ["string", "null"]}), "type"),
        (formatted({**NAME, "properties": {"names": {"type": "array", "minItems": 2}}}), "minItems"),
        (formatted({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}), "recursive"),
        ({"output_config": {"effort": "huge"}}, "effort"),
    ],
)
def test_what_the_api_refuses_is_refused(scripted: ScriptedProvider, changes: dict[str, Any], said: str) -> None:
    """A 400 whose sentence names the field; nothing comes onto the invoice."""
    status, body = ask(f"{scripted.url}/v1/messages", {**GOOD, **changes})
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert said in body["error"]["message"]
    assert scripted.invoice() == []


@pytest.mark.parametrize(("missing", "status"), [("authorization", 401), ("anthropic-version", 400)])
def test_headers_are_required(scripted: ScriptedProvider, missing: str, status: int) -> None:
    """No key is a 401; an x-api-key serves as well as a bearer."""
    headers = {name: value for name, value in HEADERS.items() if name != missing}
    assert ask(f"{scripted.url}/v1/messages", GOOD, headers)[0] == status
    assert ask(f"{scripted.url}/v1/messages", GOOD, {**HEADERS, "authorization": "", "x-api-key": "k"})[0] == 200


def test_sampling_is_allowed_with_the_older_version(scripted: ScriptedProvider) -> None:
    """As on the real API."""
    older = {**HEADERS, "anthropic-version": "2023-06-01"}
    assert ask(f"{scripted.url}/v1/messages", {**GOOD, "temperature": 0}, older)[0] == 200


INVOICE_TEXT = "Invoice 4711 from Acme Ltd, dated 2026-03-01. Total due: EUR 1,200.00, payable within 14 days."


@pytest.mark.parametrize(
    ("task", "request_fields"),
    [
        ("summarize", {"text": INVOICE_TEXT}),
        ("classify", {"text": INVOICE_TEXT, "labels": ["billing", "other"]}),
        ("classify", {"text": INVOICE_TEXT, "labels": ["billing", "other"], "multi": True}),
        ("extract", {"text": INVOICE_TEXT, "schema": "contact"}),
        ("extract", {"text": INVOICE_TEXT, "schema": "invoice"}),
    ],
)
def test_the_default_answer_holds_for_every_task(
    scripted: ScriptedProvider, task: str, request_fields: dict[str, Any]
) -> None:
    """Valid and grounded at the first attempt, whatever schema was asked for."""
    spec = find_task(task)
    prepared = prepare(spec, spec.read_request(request_fields), MODELS)
    assert isinstance(prepared, Prepared)
    chosen, ledger = settings(scripted.url), MemoryLedger()
    provider = AnthropicProvider(chosen)
    outcome = pursue(prepared, provider, ledger, settings=chosen, deadline=soon())
    provider.close()
    assert isinstance(outcome.result, Answer), outcome.result
    assert ledger.purposes() == ["first"]


def test_rules_match_by_text_model_and_number(scripted: ScriptedProvider) -> None:
    """Of the rules that match, the earliest plays; each plays its list in turn and repeats the last."""
    scripted.play(plays.status(500), plays.answer(text="b"), contains="Hi")
    scripted.play(plays.answer(text="m2"), model="m2")
    scripted.play(plays.answer(text="fifth"), nth=5)
    url = f"{scripted.url}/v1/messages"
    other = {**GOOD, "messages": [{"role": "user", "content": "Yo"}]}
    seen = [ask(url, body) for body in (GOOD, GOOD, GOOD, {**other, "model": "m2"}, other, other)]
    texts = [body["content"][0]["text"] if status == 200 else status for status, body in seen]
    assert texts == [500, "b", "b", "m2", "fifth", "Hello."]


def test_a_script_can_be_sent_over_http(scripted: ScriptedProvider) -> None:
    """Rules in JSON from any language; nonsense is refused and changes nothing; the invoice and reset likewise."""
    rule = {"plays": [{"play": "status", "status": 529}], "match": {"model": "m"}, "name": "busy"}
    assert ask(f"{scripted.url}/_script", {"rules": [rule]})[0] == 200
    wrong: tuple[dict[str, Any], ...] = (
        {},
        {"rules": [{}]},
        {"rules": [{"plays": [{"play": "tuba"}]}]},
        {"rules": [{**rule, "match": {"x": 1}}]},
    )
    for bad in wrong:
        assert ask(f"{scripted.url}/_script", bad)[0] == 400
    assert ask(f"{scripted.url}/v1/messages", GOOD)[0] == 529
    charge = ask(f"{scripted.url}/_invoice")[1][0]
    assert (charge["rule"], charge["status"], charge["complete"]) == ("busy", 529, True)
    assert ask(f"{scripted.url}/_reset", {})[0] == 200
    assert ask(f"{scripted.url}/_invoice")[1] == []
    assert ask(f"{scripted.url}/v1/messages", GOOD)[0] == 200


def test_tokens_are_counted_and_health_is_told(scripted: ScriptedProvider) -> None:
    """The two other addresses that callers use."""
    body = {name: value for name, value in GOOD.items() if name != "max_tokens"}
    assert ask(f"{scripted.url}/v1/messages/count_tokens", body)[1]["input_tokens"] > 0
    assert ask(f"{scripted.url}/healthz") == (200, {"status": "ok"})
    assert ask(f"{scripted.url}/v1/elsewhere")[0] == 404


def test_it_runs_as_a_process_of_its_own() -> None:
    """It prints its address once it listens, and leaves at SIGTERM with exit code 0."""
    command = [sys.executable, "-m", "stack.scripted", "--latency", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert ask(f"{url}/v1/messages", GOOD)[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
