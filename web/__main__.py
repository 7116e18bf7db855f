"""``python -m web``: one web process."""

import argparse
import sys

import uvicorn

from schemas.settings import SettingsRefused, read_settings
from storage.guard import UnsafeDatabase
from storage.opening import NotConfigured, open_database
from telemetry.logs import set_up_logging
from telemetry.traces import TracesRefused, set_up_traces
from web.app import make_app

LINE_LIMIT = 64 * 1024
"""Bytes of headers at most."""
STOP_SECONDS = 5
"""What a stopping process gives to answers that are under way; streams of events are cut, and their clients come back."""


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    arguments = _arguments()
    try:
        settings = read_settings()
        set_up_logging(settings.log_format, "web")
        set_up_traces("web")
        open_database(settings, pool_size=1).close()  # what is wrong there is one sentence here, and a trace later
        app = make_app(settings)
        uvicorn.run(
            app,
            host=arguments.host,
            port=arguments.port,
            log_config=None,  # it writes through ours
            access_log=False,  # addresses with ids of people's jobs; our own log says what happened
            server_header=False,
            h11_max_incomplete_event_size=LINE_LIMIT,
            timeout_graceful_shutdown=STOP_SECONDS,
            proxy_headers=False,
        )
    except (SettingsRefused, NotConfigured, UnsafeDatabase, TracesRefused) as refusal:
        sys.exit(f"assay web: {refusal}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m web", description="Serve Assay's API, review desk and operators' pages."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8400)
    return parser.parse_args()


if __name__ == "__main__":
    main()
