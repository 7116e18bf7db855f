"""The Celery tasks: one per task of the catalogue, and the control tasks that beat rings for.

A message is either ids (``tenant``, ``jobs``), which is how Assay itself publishes, or a whole request from a
Celery-native producer (``tenant``, ``request``, optionally ``options``); then the Celery task id is the job's id and
the Celery result is the job. Nothing of a request or an answer reaches events, Flower or logs: see ``QuietRequest``.
"""

from typing import Any

from celery import Celery, Task
from celery.worker.request import Request

from tasks import catalogue
from tasks.spec import AnyTask
from workers.refusals import JobFailed, RequestRefused


class QuietRequest(Request):  # type: ignore[misc]
    """A delivered message whose content is never repeated: events, Flower's pages and logs see ids only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        content = self._kwargs if isinstance(self._kwargs, dict) else {}
        shown = {key: content[key] for key in ("tenant", "jobs") if key in content}
        if "request" in content:
            shown["request"] = "(not shown)"
        self._argsrepr = "()"
        self._kwargsrepr = repr(shown)

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002 - Celery's signature
        """What ``celery inspect`` and Flower show of a running message."""
        return dict(super().info(safe=True))


class QuietTask(Task):  # type: ignore[misc]
    """A task whose messages are quiet."""

    Request = "workers.messages:QuietRequest"


def register_tasks(app: Celery) -> None:
    """Make the Celery tasks; there is nothing else to register for a new task."""
    for task in catalogue().values():
        _register(app, task)
    _register_control(app)


def _register(app: Celery, task: AnyTask) -> None:
    def run(
        self: Task,
        *,
        tenant: str = "default",
        jobs: list[str] | None = None,
        request: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> Any:
        from workers import execution

        if request is not None:
            return execution.run_native(task, tenant, self.request.id, request, options or {})
        return execution.run_ids(tenant, jobs or [])

    run.__doc__ = task.about
    app.task(run, name=task.celery_name, bind=True, base=QuietTask, throws=(JobFailed, RequestRefused))


def _register_control(app: Celery) -> None:
    def housekeeping() -> None:
        """Make the coming months' partitions and forget workers long gone."""
        from workers import execution

        execution.keep_house()

    app.task(housekeeping, name="assay.control.housekeeping", base=QuietTask, ignore_result=True)
