"""A hard end for a whole HTTP call: a deadline, and an abort from another thread.

HTTP clients bound single socket operations, so a server that drips one byte at a time keeps a call open for ever. Here
every operation of a call, from the name lookup to the last read, gets only what is left until the call's deadline, and
ends at once when the call is aborted.
"""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import httpcore2
import httpx2

from orchestration.abort import Abort, Interrupt

WRITTEN_AT_ONCE = 16 * 1024
"""Bytes. A write may take several socket operations, each with the whole time; the time left is looked at in between."""


class _Bounds(NamedTuple):
    """What ends a call: a ``time.monotonic()`` value, or somebody."""

    deadline: float
    abort: Abort | None


_call = threading.local()
"""The bounds of the call that this thread makes: a synchronous call is made by one thread from beginning to end."""


@contextmanager
def hard_deadline(deadline: float, abort: Abort | None = None) -> Iterator[None]:
    """All socket operations of this thread's HTTP call end by ``deadline``, a ``time.monotonic()`` value, or at the
    abort; either way with one of httpcore's errors, so that the connection is closed and not used again."""
    _call.bounds = _Bounds(deadline, abort)
    try:
        yield
    finally:
        _call.bounds = None


def bound_by_deadline(client: httpx2.Client) -> None:
    """Make every connection of a client, through proxies too, heed :func:`hard_deadline`. To be called before its use.

    httpx2 has no public way in below its connection pools; a test drips bytes through it, so that a release that moves
    these attributes is noticed.
    """
    transports: list[Any] = [client._transport, *client._mounts.values()]
    for transport in transports:
        if transport is not None:
            transport._pool._network_backend = _Backend(transport._pool._network_backend)


@contextmanager
def _operation(timeout: float | None, expired: type[Exception], interrupt: Interrupt) -> Iterator[float | None]:
    """The seconds that one operation may take.

    Args:
        expired: raised where the deadline has passed.
        interrupt: ends the operation when the call is aborted meanwhile.

    Raises:
        httpcore2.NetworkError: the call is aborted; whatever the operation brought is not to be used.
    """
    bounds: _Bounds | None = getattr(_call, "bounds", None)
    if bounds is None:
        yield timeout
        return
    left = bounds.deadline - time.monotonic()
    if left <= 0:
        raise expired("the call's deadline has passed")
    allowed = left if timeout is None else min(timeout, left)
    if bounds.abort is None:
        yield allowed
        return
    if not bounds.abort.watch(interrupt):
        raise httpcore2.NetworkError("the call was aborted")
    try:
        yield allowed
    finally:
        interrupted = bounds.abort.unwatch(interrupt)
    if interrupted:
        raise httpcore2.NetworkError("the call was aborted")


def _shut(endpoint: socket.socket) -> None:
    """End what blocks on a socket, and leave closing it to its owner.

    Not ``endpoint.shutdown``: TLS sockets drop their TLS state in it, under the feet of the thread that reads.
    """
    with suppress(OSError):
        socket.socket.shutdown(endpoint, socket.SHUT_RDWR)


class _Stream(httpcore2.NetworkStream):
    """A connection whose operations heed the deadline and the abort."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner
        self._interrupt = partial(_shut, inner.get_extra_info("socket"))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _operation(timeout, httpcore2.ReadTimeout, self._interrupt) as allowed:
            return self._inner.read(max_bytes, allowed)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for at in range(0, len(buffer), WRITTEN_AT_ONCE):
            with _operation(timeout, httpcore2.WriteTimeout, self._interrupt) as allowed:
                self._inner.write(buffer[at : at + WRITTEN_AT_ONCE], allowed)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        # The handshake takes the socket over into a new object that is not seen before its end; a twin reaches the
        # same connection. (TLS sockets refuse to be doubled, hence by number.)
        stream = self._inner
        with socket.socket(fileno=os.dup(stream.get_extra_info("socket").fileno())) as twin:
            try:
                with _operation(timeout, httpcore2.ConnectTimeout, partial(_shut, twin)) as allowed:
                    stream = stream.start_tls(ssl_context, server_hostname, allowed)
            except BaseException:
                stream.close()
                raise
        return _Stream(stream)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore2.NetworkBackend):
    """Opens connections that heed the deadline and the abort."""

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
        return _opened(
            lambda allowed: self._inner.connect_tcp(host, port, allowed, local_address, socket_options), timeout
        )

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        return _opened(lambda allowed: self._inner.connect_unix_socket(path, allowed, socket_options), timeout)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


_Connect = Callable[[float | None], httpcore2.NetworkStream]


def _opened(connect: _Connect, timeout: float | None) -> httpcore2.NetworkStream:
    opening = _Opening(connect)
    with _operation(timeout, httpcore2.ConnectTimeout, opening.abandon) as allowed:
        opening.begin(allowed)
        stream = opening.result(allowed)
    return _Stream(stream)


class _Opening:
    """A connection that a thread of its own opens, so that it can be left to itself.

    Nothing bounds a name lookup, which may take half a minute; and a connect tries the addresses of a name one after
    the other, with the whole time for each. Connections are kept, so the thread is seldom needed.
    """

    def __init__(self, connect: _Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._abandoned = False
        self._stream: httpcore2.NetworkStream | None = None
        self._error: BaseException | None = None

    def begin(self, allowed: float | None) -> None:
        """Start to connect."""
        threading.Thread(target=self._open, args=[allowed], name="connect", daemon=True).start()

    def result(self, allowed: float | None) -> httpcore2.NetworkStream:
        """Wait for the connection.

        Raises:
            httpcore2.ConnectTimeout: it did not come in time, or was not waited for.
        """
        if not self._over.wait(allowed):
            self.abandon()
        if self._error is not None:
            raise self._error
        if self._abandoned or self._stream is None:
            raise httpcore2.ConnectTimeout("no connection in time")
        return self._stream

    def abandon(self) -> None:
        """Stop waiting; a connection that has come or may yet come is closed."""
        with self._lock:
            self._abandoned = True
            if self._stream is not None:
                self._stream.close()
        self._over.set()

    def _open(self, allowed: float | None) -> None:
        try:
            stream = self._connect(allowed)
        except BaseException as error:
            self._error = error
        else:
            with self._lock:
                self._stream = stream
                if self._abandoned:
                    stream.close()
        self._over.set()
