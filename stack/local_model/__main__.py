"""``python -m stack.local_model --port N --home DIR``: load the model and serve it on the loopback interface."""

import argparse
import os
from pathlib import Path

import uvicorn

from stack.home import Home
from stack.local_model import KEY_NAME
from stack.local_model.app import make_app
from stack.local_model.engine import Engine
from stack.ports import LOOPBACK


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="stack.local_model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True, help="ASSAY_HOME; its secret is the API key")
    arguments = parser.parse_args()
    key_file = Home(arguments.home).secrets / KEY_NAME
    key = key_file.read_text().strip() if key_file.exists() else None
    config = uvicorn.Config(
        make_app(Engine(), key), host=LOOPBACK, port=arguments.port,
        log_level="warning", access_log=False, timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.run()
    # llama.cpp's threads may be in the middle of an answer that nobody waits for any more.
    os._exit(0 if server.started else 1)


if __name__ == "__main__":
    main()
