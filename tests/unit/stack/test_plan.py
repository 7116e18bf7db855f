"""Which parts run, and what processes are told."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.settings import Settings
from stack.commands import flower_command, with_this_python, worker_command
from stack.home import Home
from stack.plan import connected, plan_for, worker_environment
from stack.state import Connections

OUTSIDE = ("DATABASE_URL", "DATABASE_ADMIN_URL", "REDIS_URL", "BROKER_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OUTSIDE:
        monkeypatch.delenv(name, raising=False)


def test_nothing_set_runs_everything() -> None:
    """With no address set every part is embedded, and the local model keeps few slots."""
    plan = plan_for(Settings(worker_slots=50))
    assert (plan.postgres, plan.valkey, plan.model, plan.worker_slots) == (True, True, True, 2)


@pytest.mark.parametrize(
    ("settings", "runs"),
    [
        (Settings(database_url="postgresql://u@h/d"), (False, True, True)),
        (Settings(redis_url="redis://h"), (True, False, True)),
        (Settings(broker_url="amqp://h"), (True, True, True)),
        (Settings(broker_url="amqp://h", redis_url="redis://h"), (True, False, True)),
        (Settings(anthropic_api_key=SecretStr("k")), (True, True, False)),
        (Settings(anthropic_base_url="http://h"), (True, True, False)),
    ],
)
def test_each_address_replaces_its_part(settings: Settings, runs: tuple[bool, bool, bool]) -> None:
    """Each address replaces one part; a broker alone leaves Valkey to keep Celery's results."""
    plan = plan_for(settings)
    assert (plan.postgres, plan.valkey, plan.model) == runs


def test_a_real_model_has_all_slots() -> None:
    """With a real model each process runs as many jobs as the settings say."""
    assert plan_for(Settings(anthropic_api_key=SecretStr("k"), worker_slots=50)).worker_slots == 50


def test_own_addresses_win_over_those_of_the_stack() -> None:
    """What the operator set is never replaced by what the stack found."""
    known = Connections(database_url="postgresql://stack", redis_url="redis://stack", broker_url="redis://stack")
    settings = connected(Settings(database_url="postgresql://own"), known)
    assert (settings.database_url, settings.redis_url, settings.broker) == (
        "postgresql://own", "redis://stack", "redis://stack",
    )  # fmt: skip


def test_local_model_serves_every_tier() -> None:
    """With the local model every tier names it, and its address and key are set."""
    known = Connections(model="tiny", anthropic_base_url="http://h:1", anthropic_api_key="secret")
    settings = connected(Settings(), known)
    assert set(settings.tiers.values()) == {"tiny"}
    assert settings.anthropic_base_url == "http://h:1"
    assert settings.anthropic_api_key is not None
    assert settings.anthropic_api_key.get_secret_value() == "secret"


def test_workers_are_told_every_setting_but_the_administrator(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's settings, read from its environment, equal ours; the administrator's login is kept from it."""
    settings = Settings(
        home=Path("/srv/assay"), database_url="postgresql://app@h/d", database_admin_url="postgresql://admin@h/d",
        redis_url="redis://h", anthropic_api_key=SecretStr("k"), model_small="tiny", lease_seconds=7,
        native_submit=False,
    )  # fmt: skip
    environment = worker_environment(settings, Home(settings.home))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert "DATABASE_ADMIN_URL" not in environment
    assert Settings() == settings.model_copy(update={"database_admin_url": None})


def test_commands_hold_no_secret_and_run_anywhere() -> None:
    """The command lines are the plain celery ones, which this interpreter can run without PATH."""
    assert worker_command("worker-1")[:4] == ["celery", "-A", "workers", "worker"]
    assert flower_command(5555, Path("/d/flower"), "0.0.0.0")[4:6] == ["--address=0.0.0.0", "--port=5555"]
    assert with_this_python(["celery", "x"])[1:] == ["-m", "celery", "x"]
