"""The whole stack, started and stopped: for ``assay up``, for the demo and for tests."""

import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Literal

from pydantic import SecretStr

from schemas.settings import Settings
from stack.errors import StackError
from stack.home import Home, open_home, secret
from stack.local_model import KEY_NAME, MODEL_ID
from stack.model import model_part
from stack.plan import Plan, connected, plan_for, worker_environment
from stack.postgres import make_database, postgres_part
from stack.processes import beat_part, flower_part, web_part, worker_part
from stack.state import Connections, StackState
from stack.supervisor import Echo, Supervisor
from stack.valkey import valkey_part

Service = Literal["postgres", "valkey", "model"]


def run_stack(
    settings: Settings, *, on_ready: Callable[[StackState], object] | None = None, echo: Echo = print
) -> None:
    """Run everything in the foreground until SIGINT or SIGTERM; a second one does not wait for running jobs.

    Must be called in the main thread.

    Raises:
        StackError: it cannot start; whatever had started is stopped again.
    """
    try:
        with running(settings, echo=echo) as state:
            if on_ready is not None:
                on_ready(state)
            while True:
                threading.Event().wait(3600)  # until a signal's handler raises
    except (KeyboardInterrupt, _Terminated):
        return


@contextmanager
def running(settings: Settings, *, echo: Echo = print) -> Iterator[StackState]:
    """Everything runs inside the ``with`` block and nothing does after it.

    In the main thread SIGINT raises KeyboardInterrupt in the block and SIGTERM a SystemExit of status 143; while the
    parts are then being stopped, another signal kills them at once.

    Raises:
        StackError: it cannot start; whatever had started is stopped again.
        UnsafeDatabase, OperationalError: of DATABASE_URL, before anything is started.
    """
    home = open_home(settings.home)
    supervisor = Supervisor(home, echo)
    with _signals(supervisor), supervisor:
        plan = plan_for(settings)
        _check_own_database(settings)
        _start_services(supervisor, home, _services(plan))
        known = _take_over_addresses(supervisor, settings, plan)
        known = _migrate(supervisor, home, known, plan)
        _start_processes(supervisor, home, connected(settings, known), plan)
        yield supervisor.announce()


@contextmanager
def running_services(
    settings: Settings, parts: Collection[Service] = ("postgres", "valkey"), *, echo: Echo = print
) -> Iterator[StackState]:
    """Only these servers run inside the ``with`` block, whatever addresses the settings name; nothing is migrated.

    Raises:
        StackError: one cannot start.
    """
    home = open_home(settings.home)
    supervisor = Supervisor(home, echo)
    with _signals(supervisor), supervisor:
        _start_services(supervisor, home, parts)
        yield supervisor.announce()


def _check_own_database(settings: Settings) -> None:
    """Each process checks it too; asked here, the answer comes at once and not out of six logs."""
    if settings.database_url is None:
        return
    from storage.opening import open_database

    open_database(settings, pool_size=1).close()


def _services(plan: Plan) -> list[Service]:
    wanted: list[tuple[Service, bool]] = [("model", plan.model), ("postgres", plan.postgres), ("valkey", plan.valkey)]
    return [name for name, runs in wanted if runs]


def _start_services(supervisor: Supervisor, home: Home, services: Collection[Service]) -> None:
    makes = {"model": model_part, "postgres": postgres_part, "valkey": valkey_part}
    # The model first: it loads while PostgreSQL makes its files.
    chosen = [name for name in makes if name in services]
    urls = {part.name: part.url for part in supervisor.start(*(partial(makes[name], home) for name in chosen))}
    if (url := urls.get("postgres")) is not None:
        make_database(url)
        supervisor.connect(database_admin_url=url)
    if "valkey" in urls:
        supervisor.connect(broker_url=urls["valkey"], redis_url=urls["valkey"])
    if "model" in urls:
        key = secret(home, KEY_NAME)
        supervisor.connect(anthropic_base_url=urls["model"], anthropic_api_key=key, model=MODEL_ID)


def _take_over_addresses(supervisor: Supervisor, settings: Settings, plan: Plan) -> Connections:
    """Note the operator's own addresses beside those of the embedded parts."""
    known = supervisor.connect()
    redis_url = settings.redis_url or known.redis_url
    own: dict[str, str | None] = {"redis_url": redis_url, "broker_url": settings.broker_url or redis_url}
    if not plan.postgres:
        own["database_url"] = settings.database_url
    if not plan.model:
        own["anthropic_base_url"] = settings.anthropic_base_url
    return supervisor.connect(**own)


def _migrate(supervisor: Supervisor, home: Home, known: Connections, plan: Plan) -> Connections:
    """Bring the embedded database up to date; one of the operator's own is migrated by ``assay migrate`` alone."""
    if not plan.postgres or known.database_admin_url is None:
        return known
    from storage.migrate import MigrationRefused, migrate

    try:
        url = migrate(known.database_admin_url, app_password=secret(home, "postgres-app"))
    except MigrationRefused as error:
        raise StackError(str(error)) from error
    return supervisor.connect(database_url=url)


def _start_processes(supervisor: Supervisor, home: Home, settings: Settings, plan: Plan) -> None:
    environment = worker_environment(_with_stream_key(settings, home), home)
    workers = [
        partial(worker_part, f"worker-{number}", home, environment, settings.stop_seconds)
        for number in range(1, plan.worker_processes + 1)
    ]
    supervisor.start(*workers)
    _beat, flower, web = supervisor.start(
        partial(beat_part, home, environment),
        partial(flower_part, home, environment),
        partial(web_part, home, environment, settings.web_port),
    )
    supervisor.connect(flower_url=flower.url, web_url=web.url)


def _with_stream_key(settings: Settings, home: Home) -> Settings:
    """Workers and the web share a key for partial text; where none is set, this ASSAY_HOME has one."""
    if settings.stream_key is not None:
        return settings
    return settings.model_copy(update={"stream_key": SecretStr(secret(home, "stream-key"))})


class _Terminated(SystemExit):
    """SIGTERM came."""


@contextmanager
def _signals(supervisor: Supervisor) -> Iterator[None]:
    """The first signal leaves the block by an exception; once the parts are being stopped, another one hurries that.

    Entered before the supervisor, so that it still acts while that stops.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def act(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1 or supervisor.stopping:
            supervisor.stop_hard()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise _Terminated(128 + number)

    before = {number: signal.signal(number, act) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
