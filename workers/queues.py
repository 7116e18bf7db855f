"""Names of the queues on the broker."""

QUEUE = "assay"
NATIVE_QUEUE = "celery"
"""Where a producer's own Celery sends a task that it knows by name only: Celery's default queue."""
CONTROL_QUEUE = "assay.control"
