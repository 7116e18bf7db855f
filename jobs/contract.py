"""What a submission is held to before anything is written, whichever way it comes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from schemas.ids import new_id
from schemas.job import JobOptions
from storage import tenants
from storage.jobs import NewJob, dump
from tasks.estimate import estimate
from tasks.spec import AnyTask, RequestRefused


class SubmitRefused(ValueError):
    """The input is refused and nothing was written; each of ``reasons`` is one plain sentence.

    Attributes:
        fields: where it is one request that breaks its contract: each path with what is wrong there.
    """

    def __init__(self, reasons: list[str], fields: Sequence[tuple[str, str]] = ()) -> None:
        self.reasons = reasons
        self.fields = list(fields)
        super().__init__("; ".join(reasons))


class KeyConflict(SubmitRefused):
    """The idempotency key was used before, with another input."""

    def __init__(self, key: str | None, what: str, how: str = "with another input") -> None:
        super().__init__(
            [f"the idempotency key {key!r} was used for {what} {how}; use a new key, or send the same input"]
        )


def check_tenant(connection: Connection, tenant_id: str) -> None:
    """Refuse a tenant that does not exist."""
    if not tenants.exists(connection, tenant_id):
        raise no_tenant(tenant_id)


def no_tenant(tenant_id: str) -> SubmitRefused:
    """The refusal of a tenant that does not exist."""
    return SubmitRefused([f"there is no tenant {tenant_id!r}; make it with `assay tenants create {tenant_id}`"])


def check_options(task: AnyTask, options: JobOptions) -> None:
    """Refuse options that no job of this task could have."""
    version = options.prompt_version
    if version is not None and version not in task.prompts:
        raise SubmitRefused([f"{task.name} has no prompt {version!r}; it has: {', '.join(task.prompts)}"])


def new_job(
    task: AnyTask,
    request: Mapping[str, Any],
    options: JobOptions,
    *,
    job_id: UUID | None = None,
    key: str | None = None,
) -> NewJob:
    """A job ready to be written, its request held to the task's contract.

    Raises:
        SubmitRefused: the request breaks it.
    """
    data = checked(task, dict(request))
    digest = None if key is None else digest_of([task.name, data, shown(options)])
    return NewJob(job_id or new_id(), dump(data), cost_of(task, data, options), key, digest)


def checked(task: AnyTask, data: dict[str, Any]) -> dict[str, Any]:
    """The data itself, once the task's contract accepts it: what is stored is what was sent.

    Raises:
        SubmitRefused: it does not.
    """
    try:
        task.read_request(data)
    except RequestRefused as refusal:
        raise SubmitRefused([str(refusal)], refusal.fields) from None
    return data


def cost_of(task: AnyTask, data: Mapping[str, Any], options: JobOptions) -> float:
    """The estimated cost of a request that was held to the contract, in the unit of ``tasks.estimate``."""
    # Not the stored text: there every letter beyond ASCII is an escape of six bytes.
    size = sum(len(value.encode()) if isinstance(value, str) else len(dump(value)) for value in data.values())
    return estimate(task, size, options.prompt_version)


def shown(options: JobOptions) -> dict[str, Any]:
    """Options as a digest sees them: those that were chosen, as the producer wrote them. So a span until the deadline is
    the same tomorrow, and an option that a later release adds changes no digest."""
    return options.model_dump(mode="json", exclude_defaults=True)


def digest_of(value: object) -> str:
    """SHA-256 of a value as JSON, hex; the order of names in objects does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
