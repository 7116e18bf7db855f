"""Rings the doorbell: a message holds a tenant id and job ids, and nothing else."""

from collections.abc import Sequence
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError

from jobs.dispatch import PublishFailed
from tasks import find_task


class CeleryPublisher:
    """Publishes job ids as Celery messages, one bounded try each: the dispatcher's next round is the retry."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, task: str, tenant_id: str, job_ids: Sequence[UUID]) -> None:
        """Publish ids.

        Raises:
            PublishFailed: the broker did not take the message.
        """
        try:
            self._app.send_task(
                find_task(task).celery_name,
                kwargs={"tenant": tenant_id, "jobs": [str(job_id) for job_id in job_ids]},
                ignore_result=True,
                retry=False,
            )
        except (OperationalError, OSError) as error:
            raise PublishFailed(f"the broker is not reachable ({type(error).__name__})") from error
