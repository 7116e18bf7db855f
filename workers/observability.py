"""Logs of a worker process: ids, states and figures; never a document, a prompt or an answer."""

import logging
import sys


def set_up_logging() -> None:
    """One line per event on standard error. Celery's line per message is left out: it repeats return values."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    for noisy in (
        "celery.worker.strategy",
        "celery.app.trace",
        "celery.beat",
        "httpx2",
        "httpcore2",
        "anthropic",
        "kombu",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
