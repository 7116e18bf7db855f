"""Runs messages in a worker process, and the process's life: start, stop, refuse."""

import logging
import sys
import threading
import traceback
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from celery import signals
from celery.exceptions import Reject
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from jobs import reconcile, show, steps
from jobs.execute import execute
from jobs.steps import Step
from jobs.submit import SubmitRefused, submit_native
from schemas.job import LANDED_STATES, JobOptions, JobState, JobView
from storage.guard import UnsafeDatabase
from storage.opening import NotConfigured
from tasks.spec import AnyTask, plain_errors
from telemetry.context import about
from telemetry.traces import TracesRefused, set_up_traces, span_of_job
from workers.environment import worker_settings
from workers.observability import set_up_logging
from workers.refusals import JobFailed, RequestRefused
from workers.wiring import Workshop

NATIVE_POLL_SECONDS = 0.25
"""How often a Celery-native message looks whether its job, waiting or run by another worker, has landed."""

_log = logging.getLogger(__name__)
_open: list[Workshop] = []


class Delivered:
    """A job as a Celery result: JSON for the backend, and only its id for logs and Flower."""

    def __init__(self, view: JobView) -> None:
        self._view = view

    def __json__(self) -> dict[str, Any]:
        return self._view.model_dump(mode="json")

    def __repr__(self) -> str:
        return f"<job {self._view.job_id} {self._view.state}>"


def workshop() -> Workshop:
    """This process's parts."""
    return _open[0]


def run_ids(tenant_id: str, job_ids: list[str]) -> None:
    """Run the jobs of an ids-only message on the process's slots, and return when they have come to rest."""
    shop = workshop()
    ids = [UUID(job_id) for job_id in job_ids]
    shop.place.held.receive(ids)
    steps.passed(Step.RECEIVED)
    shop.wait_for([shop.slots.submit(partial(_run_one, tenant_id, job_id)) for job_id in ids])
    shop.upkeep.want_dispatch()


def run_native(
    task: AnyTask, tenant_id: str, message_id: str, request: Mapping[str, Any], options: Mapping[str, Any]
) -> Delivered:
    """Run a whole request that came as a Celery message; returns when its job has landed.

    Raises:
        RequestRefused, JobFailed: for ``AsyncResult.get()``.
        Reject: the process stops; the message is delivered again, to another.
    """
    shop = workshop()
    if not shop.settings.native_submit:
        raise RequestRefused("documents in Celery messages are switched off here (ASSAY_NATIVE_SUBMIT=false)")
    job_id = _as_job_id(message_id)
    try:
        chosen = JobOptions.model_validate(options)
        submit_native(shop.place.database, tenant_id, task, job_id, request, chosen)
    except ValidationError as error:
        raise RequestRefused(f"options: {'; '.join(plain_errors(error))}") from None
    except SubmitRefused as refusal:
        raise RequestRefused(str(refusal)) from None
    shop.wait_for([shop.slots.submit(partial(_run_one, tenant_id, job_id))])
    return _landed(tenant_id, job_id)


def keep_house() -> None:
    """Make the coming months' partitions and forget workers long gone."""
    reconcile.keep_house(workshop().place.database)


def _run_one(tenant_id: str, job_id: UUID) -> None:
    shop = workshop()
    shop.place.held.begin(job_id)
    try:
        with about(job_id=job_id, tenant_id=tenant_id), span_of_job("run", job_id, {"assay.tenant_id": tenant_id}):
            claim = execute(shop.place, tenant_id, job_id)
        if claim is not None and claim.native:
            _store_native_result(tenant_id, job_id)
    except Exception as error:
        # Its lease runs out and the sweeper queues it again, with one try less. Type and places in the code are logged, never
        # the error's text: it could repeat a document.
        places = "".join(traceback.format_tb(error.__traceback__))
        _log.error("job %s: run ended by %s\n%s", job_id, type(error).__name__, places)


def _landed(tenant_id: str, job_id: UUID) -> Delivered:
    """Wait until no machine works on the job any more; it may have been put back, or another worker may run it."""
    shop = workshop()
    while True:
        view = show.show(shop.place.database, tenant_id, job_id)
        if view.state in LANDED_STATES:
            return _delivered(view)
        if shop.stopping.wait(NATIVE_POLL_SECONDS):
            raise Reject("the worker stops", requeue=True)


def _delivered(view: JobView) -> Delivered:
    if view.state in {JobState.FAILED, JobState.CANCELLED}:
        reason = view.failure.reason if view.failure else view.state
        raise JobFailed(f"job {view.job_id} {view.state}: {reason}")
    return Delivered(view)


def _store_native_result(tenant_id: str, job_id: UUID) -> None:
    """Leave the result where ``AsyncResult.get()`` looks, for a job whose own message was lost meanwhile."""
    view = show.show(workshop().place.database, tenant_id, job_id)
    if view.state in {JobState.ANSWERED, JobState.IN_REVIEW}:
        workshop().app.backend.store_result(str(job_id), Delivered(view), "SUCCESS")


def _as_job_id(message_id: str) -> UUID:
    """The Celery task id; one that is no UUID becomes the UUID derived from it."""
    try:
        return UUID(message_id)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_URL, f"assay:{message_id}")


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def _open_workshop(sender: Any, **_: object) -> None:
    settings = worker_settings()
    try:
        if settings.broker is None:
            raise NotConfigured("BROKER_URL (or REDIS_URL) is not set: set it, or start everything with `assay up`.")
        set_up_traces("worker")
        _open.append(Workshop(settings, sender.app))
    except (NotConfigured, UnsafeDatabase, TracesRefused) as refusal:
        sys.exit(f"assay worker: {refusal}")
    except SQLAlchemyError as error:
        cause = " ".join(str(getattr(error, "orig", None) or type(error).__name__).split())
        sys.exit(f"assay worker: the database is not reachable: {cause}. Check DATABASE_URL.")


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _start_workshop(sender: object, **_: object) -> None:
    workshop().start(sender)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop_workshop(**_: object) -> None:
    # In a thread: this runs inside the signal handler, and Celery closes the intake only after it returns.
    threading.Thread(target=workshop().stop, name="stopping").start()


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: object) -> None:
    set_up_logging(worker_settings().log_format)
