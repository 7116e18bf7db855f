"""One log line per event on standard error: for people, or as JSON for programs. Each says which job it is about."""

import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

from telemetry import context

Format = Literal["console", "json"]
NOISY = ("celery.worker.strategy", "celery.app.trace", "celery.beat", "httpx2", "httpcore2", "anthropic", "kombu")
"""Libraries that log every message or call; some of them repeat values."""
_FIELDS = ("time", "level", "logger", "message")


def set_up_logging(
    form: Format, process: str, *, filters: Sequence[tuple[str, Callable[[logging.LogRecord], bool]]] = ()
) -> None:
    """Take over logging of this process.

    Args:
        process: what it is: ``worker``, ``web`` ...
        filters: by the name of a logger.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_with_ids)
    handler.setFormatter(_Json(process) if form == "json" else _Console())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name, keep in filters:
        logging.getLogger(name).addFilter(keep)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _with_ids(record: logging.LogRecord) -> bool:
    """In the thread that logs; a formatter may run in another."""
    record.about = context.present()
    return True


class _Console(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s%(ids)s")

    def format(self, record: logging.LogRecord) -> str:
        ids = getattr(record, "about", {})
        record.ids = "".join(f" {name}={value}" for name, value in ids.items())
        return super().format(record)


class _Json(JsonFormatter):
    def __init__(self, process: str) -> None:
        super().__init__("%(message)s")
        self._process = process

    def process_log_record(self, log_data: dict[str, object]) -> dict[str, object]:
        """The same few names on every line, in the same order, and the ids behind them."""
        about = log_data.pop("about", {})
        ids = about if isinstance(about, dict) else {}
        known = {name: log_data.pop(name) for name in _FIELDS if name in log_data}
        return {**known, "process": self._process, **ids, **log_data}

    def add_fields(
        self, log_data: dict[str, object], record: logging.LogRecord, message_dict: dict[str, object]
    ) -> None:
        """Time in UTC as ISO 8601, with milliseconds."""
        super().add_fields(log_data, record, message_dict)
        at = datetime.fromtimestamp(record.created, UTC)
        log_data |= {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
        }
