"""The proxy that counts round trips."""

import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.wire import CountingProxy


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()[1]
    thread.join()
    server.close()


def test_a_round_trip_is_a_client_that_speaks_after_the_server(echo: int) -> None:
    """Two questions with an answer each are two trips, and the bytes arrive as they were."""
    with CountingProxy("127.0.0.1", echo) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as client:
        for asked, question in enumerate((b"short", b"x"), start=1):
            client.sendall(question)
            assert _receive(client, len(question)) == question
            assert proxy.trips == asked


def _receive(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += client.recv(65536)
    return data
