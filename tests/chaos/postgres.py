"""What may happen to PostgreSQL."""

import contextlib
import signal
import time

import psutil
import psycopg

from tests.chaos.stage import Stage

CUTS = 5

_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'assay' AND pid <> pg_backend_pid()"


def restarted(stage: Stage) -> None:
    """A fast restart: every session is cut, its transaction rolled back."""
    _restart(stage, signal.SIGINT, 0.0)


def crashed(stage: Stage) -> None:
    """An immediate stop, as if the power went; the log is replayed."""
    _restart(stage, signal.SIGQUIT, 0.0)


def down(stage: Stage) -> None:
    """Away for a while."""
    _restart(stage, signal.SIGINT, stage.periods.down)


def backend_killed(stage: Stage) -> None:
    """kill -9 of a backend, as the kernel does when memory runs out: PostgreSQL cuts all sessions and recovers."""
    with stage.grounds.postgres.busy:
        backends = [child for child in stage.grounds.postgres.children() if _is_backend(child)]
        assert backends, "no worker has a session"
        stage.dice.choice(backends).kill()


def connections_cut(stage: Stage) -> None:
    """All sessions ended, again and again."""
    for cut in range(CUTS):
        if cut:
            time.sleep(stage.dice.uniform(0.05, 0.5))
        with stage.grounds.postgres.busy, _superuser(stage) as connection:
            connection.execute(_OTHERS)


def refusing(stage: Stage) -> None:
    """It runs, and lets nobody in."""
    with stage.grounds.postgres.busy, _superuser(stage) as connection:
        connection.execute("ALTER DATABASE assay ALLOW_CONNECTIONS false")
        try:
            connection.execute(_OTHERS)
            time.sleep(stage.periods.down)
        finally:
            connection.execute("ALTER DATABASE assay ALLOW_CONNECTIONS true")


def frozen(stage: Stage) -> None:
    """SIGSTOP of all its processes, SIGCONT: connections stay open and nobody answers."""
    with stage.grounds.postgres.busy, stage.grounds.postgres.frozen():
        time.sleep(stage.periods.frozen_server)


def _restart(stage: Stage, how: signal.Signals, seconds: float) -> None:
    with stage.grounds.postgres.busy:
        stage.grounds.postgres.stop(how)
        time.sleep(seconds)
        stage.grounds.postgres.start()


def _superuser(stage: Stage) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(stage.grounds.postgres_superuser_url, autocommit=True, connect_timeout=10)


def _is_backend(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return " assay_app assay " in f"{' '.join(process.cmdline())} "
    return False
