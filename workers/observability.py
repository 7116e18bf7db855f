"""Logs of a worker process: ids, states and figures; never a document, a prompt or an answer."""

import logging
import sys

from telemetry.logs import Format
from telemetry.logs import set_up_logging as set_up


def set_up_logging(form: Format) -> None:
    """One line per event on standard error. Celery's line per message is left out: it repeats return values."""
    set_up(
        form, "beat" if "beat" in sys.argv else "worker", filters=[("celery.worker.consumer.consumer", _without_bodies)]
    )


def _without_bodies(record: logging.LogRecord) -> bool:
    """Celery logs messages that it cannot read or does not know in full, and a producer's may hold a document: only the
    fixed words of its sentence are kept, and the name of an unknown task."""
    if record.levelno >= logging.ERROR and record.args:
        template = str(record.msg)
        unknown = "unregistered task" in template
        name = str(record.args[0])[:100] if unknown and isinstance(record.args, tuple) else ""
        record.msg, record.args, record.exc_info = template.partition("%")[0].strip() + " " + name, (), None
    return True
