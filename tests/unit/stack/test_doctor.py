"""The doctor without a stack, and against addresses where nothing is."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.settings import Settings
from stack.doctor import PartReport, examine, masked
from stack.ports import free_port


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "DATABASE_URL",
        "DATABASE_ADMIN_URL",
        "REDIS_URL",
        "BROKER_URL",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def refusing_provider() -> Iterator[str]:
    """A server that answers every POST with 401."""

    class Refusal(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_error(401)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def reports(settings: Settings) -> dict[str, PartReport]:
    """By name."""
    return {report.name: report for report in examine(settings)}


def test_without_a_stack_every_part_is_off(tmp_path: Path) -> None:
    """Where nothing runs and nothing is set, each part is off and says how to start it."""
    found = examine(Settings(home=tmp_path / "nowhere"))
    assert [report.name for report in found] == ["database", "broker", "model", "workers", "beat", "web", "flower"]
    assert {report.state for report in found} == {"off"}
    assert all("assay up" in report.advice for report in found)
    assert not (tmp_path / "nowhere").exists()


def test_a_dead_address_fails_with_advice(tmp_path: Path) -> None:
    """An address where nobody listens is a failure that names the variable to check, and no password is shown."""
    port = free_port()
    found = reports(
        Settings(
            home=tmp_path,
            database_url=f"postgresql://app:sesame@127.0.0.1:{port}/d",
            broker_url=f"amqp://u:sesame@127.0.0.1:{port}//",
            anthropic_base_url=f"http://127.0.0.1:{port}",
        )
    )
    assert {found[name].state for name in ("database", "broker", "model", "workers")} == {"failed"}
    assert "DATABASE_URL" in found["database"].advice
    assert "BROKER_URL" in found["broker"].advice
    assert "ANTHROPIC_BASE_URL" in found["model"].advice
    assert "sesame" not in "".join(report.model_dump_json() for report in found.values())


def test_a_wrong_key_is_told_from_an_unreachable_provider(tmp_path: Path, refusing_provider: str) -> None:
    """A 401 is about the key, and the key is not repeated."""
    settings = Settings(home=tmp_path, anthropic_base_url=refusing_provider, anthropic_api_key=SecretStr("sesame"))
    report = reports(settings)["model"]
    assert (report.state, report.detail) == ("failed", "It does not accept the API key.")
    assert "sesame" not in report.model_dump_json()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h:1/d", "postgresql://u:***@h:1/d"),
        ("redis://:p@h:1/0", "redis://:***@h:1/0"),
        ("http://h:1", "http://h:1"),
        (None, None),
    ],
)
def test_passwords_are_masked(url: str | None, shown: str | None) -> None:
    """A URL is shown without its password."""
    assert masked(url) == shown
