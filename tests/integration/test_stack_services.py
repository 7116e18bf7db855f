"""PostgreSQL, Valkey and the local model, really started once for this module."""

import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from schemas.settings import Settings
from stack.local_model import MODEL_ID
from stack.state import StackState, read_state
from stack.up import running_services

MARKER = "Zanzibarquark"
ASK: list[dict[str, str]] = [{"role": "user", "content": f"The food was cold. {MARKER}. Is that good or bad?"}]
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["good", "bad"]}},
    "required": ["label"],
    "additionalProperties": False,
}
FORM: dict[str, Any] = {"format": {"type": "json_schema", "schema": SCHEMA}}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """An ASSAY_HOME of this module's own."""
    with tempfile.TemporaryDirectory(prefix="assay-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def services(home: Path) -> Iterator[StackState]:
    """The three services."""
    with running_services(Settings(home=home), ("postgres", "valkey", "model"), echo=lambda _line: None) as state:
        yield state


@pytest.fixture(scope="module")
def client(services: StackState) -> Iterator[Any]:
    """The unmodified model SDK, pointed at the local model."""
    import anthropic

    known = services.connections
    with anthropic.Anthropic(
        api_key=known.anthropic_api_key, base_url=known.anthropic_base_url, max_retries=0, timeout=120
    ) as client:
        yield client


def test_the_state_tells_where_everything_is(home: Path, services: StackState) -> None:
    """Another process finds the running stack, each part up, in the state file."""
    state = read_state(home)
    assert state == services
    assert {part.name: part.state for part in state.parts} == {"model": "up", "postgres": "up", "valkey": "up"}


def test_postgres_keeps_its_word_and_its_mouth_shut(home: Path, services: StackState) -> None:
    """Commits are durable, and a value that a statement chokes on does not reach the log."""
    url = services.connections.database_admin_url
    assert url is not None
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}".encode()).fetchone() == ("on",)
        connection.execute("CREATE TABLE shy (word text PRIMARY KEY)")
        connection.execute("INSERT INTO shy VALUES (%s)", [MARKER])
        for statement in ("INSERT INTO shy VALUES (%s)", "SELECT %s::int", "SELECT %s::jsonb"):
            with pytest.raises(psycopg.Error):
                connection.execute(statement, [MARKER])
        with pytest.raises(psycopg.Error):
            connection.execute(f"SELECT '{MARKER}' FROM nowhere".encode())
    assert MARKER not in (home / "logs" / "postgres.log").read_text()


def test_postgres_wants_the_password(services: StackState) -> None:
    """Being on the same machine is not enough to get in."""
    url = services.connections.database_admin_url
    assert url is not None
    server = url.rpartition("@")[2]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://postgres:wrong@{server}", connect_timeout=5)


def test_valkey_wants_the_password_and_writes_nothing(home: Path, services: StackState) -> None:
    """The broker answers who knows the password, and keeps nothing on disk."""
    url = services.connections.broker_url
    assert url is not None
    with redis.Redis.from_url(url) as broker:
        broker.set("k", MARKER)
        assert broker.get("k") == MARKER.encode()
    with redis.Redis.from_url("redis://" + url.rpartition("@")[2]) as stranger, pytest.raises(redis.RedisError):
        stranger.ping()
    assert [file.name for file in (home / "valkey").iterdir()] == ["valkey.conf"]


def test_the_schema_is_enforced_and_repeatable(client: Any) -> None:
    """An answer fits its schema, whole or streamed, with the same text and usage both times, under a request id."""
    raw = client.messages.with_raw_response.create(model=MODEL_ID, max_tokens=60, messages=ASK, output_config=FORM)
    whole = raw.parse()
    assert raw.request_id.startswith("req_")
    assert whole.stop_reason == "end_turn"
    assert json.loads(whole.content[0].text)["label"] in {"good", "bad"}
    with client.messages.stream(model=MODEL_ID, max_tokens=60, messages=ASK, output_config=FORM) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert streamed.content[0].text == whole.content[0].text
    assert (streamed.usage.input_tokens, streamed.usage.output_tokens) == (
        whole.usage.input_tokens,
        whole.usage.output_tokens,
    )
    assert kinds.count("content_block_delta") > 3
    assert [kind for kind in dict.fromkeys(kinds) if kind != "text"] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop",
    ]  # fmt: skip
    counted = client.messages.count_tokens(model=MODEL_ID, messages=ASK)
    assert counted.input_tokens == whole.usage.input_tokens


def test_truncation_is_told(client: Any) -> None:
    """An answer that reaches its cap says so."""
    message = client.messages.create(
        model=MODEL_ID, max_tokens=4, system="You tell stories.", messages=[{"role": "user", "content": "Tell one."}]
    )
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 4)


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_does_not_fit_is_refused(client: Any, stream: bool) -> None:
    """Too long a prompt is a 400 that gives both figures, streamed or not, before any event."""
    import anthropic

    long = [{"role": "user", "content": f"{MARKER} word " * 9000}]
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 8192 maximum"):
        client.messages.create(model=MODEL_ID, max_tokens=4, messages=long, stream=stream)


def test_a_schema_it_cannot_enforce_is_refused(client: Any) -> None:
    """A schema that is none is a 400 and never ignored."""
    import anthropic

    form = {"format": {"type": "json_schema", "schema": {"type": "nonsense"}}}
    with pytest.raises(anthropic.BadRequestError, match="schema is not supported"):
        client.messages.create(model=MODEL_ID, max_tokens=4, messages=ASK, output_config=form)


def test_a_wrong_key_and_a_wrong_model_are_refused(client: Any) -> None:
    """Both have their own status, as at the real service."""
    import anthropic

    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="wrong").messages.create(model=MODEL_ID, max_tokens=4, messages=ASK)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="claude-haiku-5-5", max_tokens=4, messages=ASK)


def test_a_full_queue_says_overloaded(client: Any) -> None:
    """More requests than may wait get a 529 at once, and the first ones their answer."""
    import anthropic

    outcomes: list[str] = []

    def ask() -> None:
        try:
            client.messages.create(model=MODEL_ID, max_tokens=1, messages=ASK)
            outcomes.append("answered")
        except anthropic.InternalServerError as error:
            outcomes.append(f"{error.status_code} {error.type}")

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) == {"answered", "529 overloaded_error"}
    assert outcomes.count("answered") >= 16


def test_who_leaves_frees_the_model(client: Any) -> None:
    """A caller that hangs up in the middle of an endless answer does not keep the next one waiting for its end."""
    endless = [{"role": "user", "content": "Count from one to ten thousand in words."}]
    with client.messages.stream(model=MODEL_ID, max_tokens=8000, messages=endless) as stream:
        assert next(iter(stream.text_stream))
    # 8,000 tokens take most of a minute; the client's own deadline is the proof.
    message = client.with_options(timeout=20).messages.create(model=MODEL_ID, max_tokens=2, messages=ASK)
    assert message.usage.output_tokens == 2


def test_no_document_text_in_any_log(home: Path, client: Any) -> None:
    """After all this no log of any part holds the text of a prompt."""
    client.messages.create(model=MODEL_ID, max_tokens=2, messages=ASK)
    logs = list((home / "logs").iterdir())
    assert {log.name for log in logs} == {"model.log", "postgres.log", "valkey.log"}
    assert not [log.name for log in logs if MARKER in log.read_text(errors="replace")]
