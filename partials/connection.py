"""The connection to the Redis or Valkey that workers and web processes share."""

from functools import cache
from importlib.resources import files

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

ANSWER_SECONDS = 0.5
"""Partial text that takes longer is of no use."""


def connect(url: str) -> Redis:
    """A client; it connects when it is first used. A connection that went stale is opened again once."""
    # redis-py knows no other scheme.
    plain = url.replace("valkey://", "redis://", 1).replace("valkeys://", "rediss://", 1)
    return Redis.from_url(
        plain,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )


@cache
def script(name: str) -> str:
    """The text of a script of this package. Sent whole each time: the server knows it by its digest, and a pipeline needs no
    round trip to find out whether it still does."""
    return files("partials").joinpath(f"{name}.lua").read_text("utf-8")
