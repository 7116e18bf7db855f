"""``python -m workers.alone TENANT JOB FENCE``: a suspect's own process. It adopts the claim, runs the job and ends."""

import os
import sys
import threading
from uuid import UUID

from jobs.execute import go_on
from jobs.hold import HeldLeases
from telemetry.context import about
from telemetry.traces import set_up_traces, span_of_job
from workers.environment import worker_settings
from workers.observability import set_up_logging
from workers.wiring import solitary_workplace


def main(arguments: list[str]) -> None:
    """The process."""
    threading.Thread(target=_end_with_the_worker, name="lifeline", daemon=True).start()
    settings = worker_settings()
    set_up_logging(settings.log_format)
    set_up_traces("worker")
    tenant_id, job_id, fence = arguments
    place = solitary_workplace(settings, HeldLeases())
    with (
        about(job_id=job_id, tenant_id=tenant_id),
        span_of_job("run alone", UUID(job_id), {"assay.tenant_id": tenant_id}),
    ):
        go_on(place, tenant_id, UUID(job_id), int(fence))


def _end_with_the_worker() -> None:
    """The worker holds the other end of standard input, and the system closes it however the worker ends."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
