"""Which parts run here and which are the operator's own, and what the processes are told of that."""

import os
from dataclasses import dataclass

from pydantic import AliasChoices, SecretStr

from schemas.settings import Settings
from stack.home import Home
from stack.model import CHECKOUT
from stack.state import Connections

LOCAL_MODEL_SLOTS = 2
"""Jobs per process with the local model, which makes one or two calls a second: more would only wait."""

KEPT_FROM_WORKERS = ("DATABASE_ADMIN_URL", "ASSAY_URL", "ASSAY_API_KEY")

ROOT_WARNING = "ignore:You're running the worker with superuser privileges"
"""Celery's advice for servers, twice per process; ``assay up`` as root in a container or a trial is a fair choice."""


@dataclass(frozen=True)
class Plan:
    """The embedded parts.

    Attributes:
        worker_slots: jobs that one worker process runs at a time.
    """

    postgres: bool
    valkey: bool
    model: bool
    worker_processes: int
    worker_slots: int


def plan_for(settings: Settings) -> Plan:
    """Each address that is set replaces its part; ``BROKER_URL`` alone leaves Valkey to keep Celery's results."""
    local_model = settings.anthropic_api_key is None and settings.anthropic_base_url is None
    return Plan(
        postgres=settings.database_url is None,
        valkey=settings.redis_url is None,
        model=local_model,
        worker_processes=settings.worker_processes,
        worker_slots=min(LOCAL_MODEL_SLOTS, settings.worker_slots) if local_model else settings.worker_slots,
    )


def connected(settings: Settings, connections: Connections) -> Settings:
    """The settings with the addresses of a running stack in the places that were left empty."""
    update: dict[str, object] = {
        "database_url": settings.database_url or connections.database_url,
        "redis_url": settings.redis_url or connections.redis_url,
        "broker_url": settings.broker_url or connections.broker_url,
    }
    if connections.model is not None:
        update |= {f"model_{tier}": connections.model for tier in settings.tiers}
        update["worker_slots"] = min(LOCAL_MODEL_SLOTS, settings.worker_slots)
        update["anthropic_base_url"] = connections.anthropic_base_url
        update["anthropic_api_key"] = SecretStr(connections.anthropic_api_key or "")
    return settings.model_copy(update=update)


def worker_environment(settings: Settings, home: Home) -> dict[str, str]:
    """The whole environment of a worker, beat or Flower: ours, with every setting as it is in ``settings``."""
    environment = dict(os.environ)
    for variable, value in _variables(settings).items():
        environment.pop(variable, None)
        if value is not None and variable not in KEPT_FROM_WORKERS:
            environment[variable] = value
    environment["ASSAY_HOME"] = str(home.root)
    environment["PYTHONPATH"] = _joined(str(CHECKOUT), os.environ.get("PYTHONPATH"), os.pathsep)
    environment["PYTHONWARNINGS"] = _joined(os.environ.get("PYTHONWARNINGS"), ROOT_WARNING, ",")
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def _variables(settings: Settings) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, field in type(settings).model_fields.items():
        alias = field.validation_alias
        variable = str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"ASSAY_{name.upper()}"
        value = getattr(settings, name)
        found[variable] = _as_text(value)
    return found


def _as_text(value: object) -> str | None:
    if value is None:
        return None
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _joined(first: str | None, second: str | None, separator: str) -> str:
    return separator.join(word for word in (first, second) if word)
