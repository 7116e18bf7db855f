"""The submitting processes: ``python -m benchmarks.producers assay|naive COUNT`` submits and prints what it took.

Processes of their own, so that their CPU is told apart; imports and the first connection are not counted.
"""

import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from benchmarks.documents import LABELS, document, lines


def _assay(count: int) -> dict[str, Any]:
    """A batch as rows; the workers' own dispatch does the rest."""
    from jobs.submit import submit_batch
    from schemas.job import JobOptions
    from storage.opening import open_database
    from workers.environment import worker_settings

    database = open_database(worker_settings())

    def submit() -> dict[str, Any]:
        submitted = submit_batch(database, "default", "classify", lines(count), {"labels": LABELS}, JobOptions())
        return {"batch_id": str(submitted.batch_id)}

    return _measured(submit)


def _naive(count: int) -> dict[str, Any]:
    """One message per document."""
    from benchmarks.naive import classify

    def publish() -> dict[str, Any]:
        for number in range(count):
            classify.delay(str(uuid.uuid4()), document(number), time.time())
        return {}

    return _measured(publish)


def _measured(submit: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    started, cpu = time.time(), time.process_time()
    found = submit()
    return {"started": started, "ended": time.time(), "cpu_seconds": time.process_time() - cpu, **found}


PRODUCERS: dict[str, Callable[[int], dict[str, Any]]] = {"assay": _assay, "naive": _naive}


if __name__ == "__main__":
    print(json.dumps(PRODUCERS[sys.argv[1]](int(sys.argv[2]))))
