"""A hard end for a whole HTTP call.

HTTP clients bound single socket operations, so a server that drips one byte at a time keeps a call open for ever. Here
every operation of a call, from connecting to the last read, gets only what is left until the call's deadline.
"""

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

_call = threading.local()
"""The deadline of the call that this thread makes: a synchronous call is made by one thread from beginning to end."""


@contextmanager
def hard_deadline(deadline: float) -> Iterator[None]:
    """All socket operations of this thread's HTTP call end by ``deadline``, a ``time.monotonic()`` value."""
    _call.deadline = deadline
    try:
        yield
    finally:
        _call.deadline = None


def bound_by_deadline(client: httpx2.Client) -> None:
    """Make every connection of a client, through proxies too, heed :func:`hard_deadline`. To be called before its use.

    httpx2 has no public way in below its connection pools; a test drips bytes through it, so that a release that moves
    these attributes is noticed.
    """
    transports: list[Any] = [client._transport, *client._mounts.values()]
    for transport in transports:
        if transport is not None:
            transport._pool._network_backend = _Backend(transport._pool._network_backend)


def _allowed(timeout: float | None, expired: type[Exception]) -> float | None:
    deadline: float | None = getattr(_call, "deadline", None)
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise expired("the call's deadline has passed")
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore2.NetworkStream):
    """A connection whose operations heed the deadline."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _allowed(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _allowed(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        allowed = _allowed(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, allowed))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore2.NetworkBackend):
    """Opens connections that heed the deadline."""

    def __init__(self, inner: httpcore2.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        allowed = _allowed(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, allowed, local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        allowed = _allowed(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.connect_unix_socket(path, allowed, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)
