"""Looks at each part as a user of it would, and says what is wrong and what to do."""

import http.client
import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from typing import Literal
from urllib.parse import urlsplit

from schemas.base import Contract
from schemas.health import Health
from schemas.settings import PROVIDER_URL, Settings
from stack.commands import ping_command, with_this_python
from stack.home import Home
from stack.plan import connected, worker_environment
from stack.state import Connections, StackState, read_state
from stack.valkey import answers

SECONDS = 5
CLOSED_SECONDS = 2.0
"""A model of which no call may start within this takes no calls now."""
PING_SECONDS = 2
PING_WHOLE_SECONDS = 30
"""Starting Celery for the ping takes seconds on a busy machine."""

START = "Start the stack with `assay up`"


PartName = Literal["database", "broker", "model", "workers", "beat", "web", "flower"]


class PartReport(Contract):
    """One part, looked at.

    Attributes:
        state: ``off`` = not running and not expected to.
        url: where it was looked for, without its password.
        detail: what was found, in one sentence.
        advice: what to do; empty where nothing is.
    """

    name: PartName
    state: Literal["ok", "failed", "off"]
    url: str | None
    detail: str
    advice: str = ""


def examine(settings: Settings) -> list[PartReport]:
    """Look at every part of the stack that runs in this ASSAY_HOME, or that the settings name; takes seconds."""
    state = read_state(settings.home)
    connections = Connections() if state is None else state.connections
    complete = connected(settings, connections)
    return [
        _database(complete.database_url),
        _broker(complete.broker),
        _model(complete, connections),
        _workers(complete),
        _beat(state),
        _web(complete.url or connections.web_url),
        _flower(connections.flower_url),
    ]


def _closed_models(settings: Settings) -> list[str]:
    """Models that take no call now: their breaker is open, or a window is full."""
    from workers.gate import shared_gate

    gate = shared_gate(settings, lambda: settings.worker_processes)
    try:
        return [model for model in set(settings.tiers.values()) if gate.room(model, CLOSED_SECONDS).calls == 0]
    finally:
        gate.close()


def progress(settings: Settings) -> Health | None:
    """How work goes on, by the figures in the database; None where it cannot be asked (:func:`examine` says why)."""
    state = read_state(settings.home)
    complete = connected(settings, Connections() if state is None else state.connections)
    if complete.database_url is None:
        return None
    from sqlalchemy.exc import SQLAlchemyError

    from jobs.health import read_health
    from storage import guard
    from storage.database import Database
    from storage.version import HEAD_REVISION

    try:
        database = Database(complete.database_url, pool_size=1)
    except SQLAlchemyError:
        return None
    try:
        guard.check(database, HEAD_REVISION)
        return read_health(database, complete, closed_models=_closed_models(complete))
    except (guard.UnsafeDatabase, SQLAlchemyError):
        return None
    finally:
        database.close()


def masked(url: str | None) -> str | None:
    """The URL without its password."""
    return None if url is None else re.sub(r"(://[^/@:]*):[^@]*@", r"\1:***@", url)


def _database(url: str | None) -> PartReport:
    if url is None:
        return _off("database", f"{START}, or set DATABASE_URL.")
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    from storage.database import sqlalchemy_url
    from storage.guard import UnsafeDatabase, check_migrated, check_role
    from storage.version import HEAD_REVISION

    try:
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool, connect_args={"connect_timeout": SECONDS})
        with engine.connect() as connection:
            check_role(connection)
            check_migrated(connection, HEAD_REVISION)
    except UnsafeDatabase as error:
        detail, _, advice = str(error).partition(" Run ")
        return _failed("database", url, detail, f"Run {advice}" if advice else "")
    except ArgumentError:
        return _failed(
            "database", url, "DATABASE_URL is not a database URL.", "Use postgresql://user:password@host/name."
        )
    except SQLAlchemyError as error:
        said = " ".join(str(getattr(error, "orig", error)).split())[:300]
        advice = "Check DATABASE_URL and that the server runs."
        return _failed("database", url, f"It does not let us in: {said}.", advice)
    return _ok("database", url, "Connected; tenants are kept apart and the tables are up to date.")


def _broker(url: str | None) -> PartReport:
    if url is None:
        return _off("broker", f"{START}, or set REDIS_URL or BROKER_URL.")
    advice = "Check REDIS_URL or BROKER_URL and that the server runs."
    parts = urlsplit(url)
    if parts.scheme in {"redis", "rediss"}:
        if answers(url, SECONDS):
            return _ok("broker", url, "It answers.")
        return _failed("broker", url, "It does not answer a PING.", advice)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 5672), timeout=SECONDS).close()
    except OSError as error:
        return _failed("broker", url, f"It cannot be reached ({error.strerror or error}).", advice)
    return _ok("broker", url, "It accepts connections.")


def _model(settings: Settings, connections: Connections) -> PartReport:
    if connections.model is not None:
        return _get("model", connections.anthropic_base_url, "/healthz", "The local model answers.")
    key = None if settings.anthropic_api_key is None else settings.anthropic_api_key.get_secret_value()
    if key is None and settings.anthropic_base_url is None:
        return _off("model", f"{START} for the local model, or set ANTHROPIC_API_KEY.")
    return _count_tokens(settings.anthropic_base_url or PROVIDER_URL, key, settings.model_small)


def _count_tokens(url: str, key: str | None, model: str) -> PartReport:
    """Counting tokens costs nothing and needs all that a real call does: the address, the key and the model."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "ping"}]}).encode()
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    headers |= {} if key is None else {"x-api-key": key}
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/v1/messages/count_tokens", body, headers)  # noqa: S310  an operator's own setting
        urllib.request.urlopen(request, timeout=SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        return _refused(url, error.code, model)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        return _failed(
            "model", url, f"It cannot be reached ({reason}).", "Check ANTHROPIC_BASE_URL and the way to the network."
        )
    return _ok("model", url, f"It accepts our key and knows {model}.")


def _refused(url: str, status: int, model: str) -> PartReport:
    known = {
        401: ("It does not accept the API key.", "Set ANTHROPIC_API_KEY to a valid key."),
        403: ("The API key has no right to this.", "Use a key that may call models."),
        404: (f"It does not know the model {model}.", "Set ASSAY_MODEL_SMALL to a model that it serves."),
        429: ("It is limiting our rate.", "Wait, or raise the limit of the account."),
    }
    other = (f"It answers with status {status}.", "Look at the status page of the provider.")
    detail, advice = known.get(status, other)
    return _failed("model", url, detail, advice)


def _workers(settings: Settings) -> PartReport:
    if settings.broker is None:
        return _off("workers", f"{START}.")
    command = with_this_python(ping_command(PING_SECONDS))
    environment = worker_environment(settings, Home(settings.home))
    try:
        done = subprocess.run(  # noqa: S603  our own command
            command, capture_output=True, text=True, errors="replace", env=environment,
            timeout=PING_WHOLE_SECONDS, check=False, cwd="/",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return _failed("workers", None, "No answer through the broker.", "See whether the broker is well.")
    names = _answered(done.stdout)
    if not names:
        return _failed("workers", None, "No worker answers through the broker.", f"{START}, or start the workers.")
    return _ok("workers", None, f"{len(names)} answer: {', '.join(sorted(names))}.")


def _answered(output: str) -> list[str]:
    for line in output.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return list(found)
    return []


def _beat(state: StackState | None) -> PartReport:
    part = None if state is None else state.part("beat")
    if part is None:
        return _off("beat", f"{START}; a beat that runs elsewhere cannot be seen from here.")
    if part.state != "up":
        return _failed("beat", None, f"It is {part.state}.", "Look into logs/beat.log in ASSAY_HOME.")
    return _ok("beat", None, "It runs.")


def _web(url: str | None) -> PartReport:
    if url is None:
        return _off("web", f"{START}, or set ASSAY_URL.")
    return _get("web", url, "/healthz", "It answers.")


def _flower(url: str | None) -> PartReport:
    if url is None:
        return _off("flower", f"{START}; a Flower that runs elsewhere cannot be seen from here.")
    return _get("flower", url, "/healthcheck", "It answers.")


def _get(name: Literal["model", "web", "flower"], url: str | None, path: str, well: str) -> PartReport:
    advice = f"Look into logs/{name}.log in ASSAY_HOME."
    address = re.sub(r"//[^/@]*@", "//", url or "")  # health is told without the password
    try:
        urllib.request.urlopen(f"{address}{path}", timeout=SECONDS).close()  # noqa: S310  our own loopback address
    except urllib.error.HTTPError as error:
        error.close()
        return _failed(name, url, f"It answers with status {error.code}.", advice)
    except (OSError, http.client.HTTPException) as error:
        return _failed(name, url, f"It does not answer ({getattr(error, 'reason', None) or error}).", advice)
    return _ok(name, url, well)


def _ok(name: PartName, url: str | None, detail: str) -> PartReport:
    return PartReport(name=name, state="ok", url=masked(url), detail=detail)


def _failed(name: PartName, url: str | None, detail: str, advice: str) -> PartReport:
    return PartReport(name=name, state="failed", url=masked(url), detail=detail, advice=advice)


def _off(name: PartName, advice: str) -> PartReport:
    return PartReport(name=name, state="off", url=None, detail="Not running here and not set.", advice=advice)
