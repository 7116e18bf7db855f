"""Free TCP ports on the loopback interface."""

import socket

LOOPBACK = "127.0.0.1"


def port_near(preferred: int) -> int:
    """The preferred port while it is free, else any; 0 prefers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # As servers bind it: connections of an earlier one that still fade away are no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, preferred))
        except OSError:
            return free_port()
        port: int = listener.getsockname()[1]
        return port


def free_port() -> int:
    """A port nobody listens on right now.

    Another program may take it before its user binds it; whoever starts a server on it tries again with another one.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port
