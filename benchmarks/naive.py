"""The naive Celery job: one message per document, a thread pool, late acknowledgement, a Redis broker.

As a competent engineer would write it: one model client and one connection pool per process, prefetching one message
per thread (the usual companion of late acknowledgement), no results kept where nobody reads them.
"""

import os

from celery import Celery, signals

from benchmarks import simple_job

app = Celery("naive", broker=os.environ.get("REDIS_URL"), set_as_current=False)
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task(name="naive.classify")  # type: ignore[untyped-decorator]
def classify(job_id: str, text: str, created: float) -> None:
    """Classify one document."""
    simple_job.run(job_id, text, created)


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _say_so(**_: object) -> None:
    print("naive ready.", flush=True)
