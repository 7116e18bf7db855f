"""A producer's jobs over the API. What the API refuses becomes the same refusal that the use case raises."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx2

from cli.api import IDEMPOTENCY_CONFLICT, NOT_FOUND, Api, Refused
from cli.ended import Ended
from jobs.cancel import NotFound
from jobs.contract import SubmitRefused
from jobs.show import Progress
from jobs.submit import Submitted
from schemas.job import JobOptions, JobView
from schemas.listing import BatchState, BatchView
from tasks import find_task

PIECE_BYTES = 256 * 1024
"""Lines are sent in pieces of about this size: one by one each would cost a packet."""


class OverHttp:
    """The API, called over HTTP."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def submit_one(self, task: str, fields: Mapping[str, Any], options: JobOptions, key: str | None) -> Submitted:
        """See :class:`cli.service.Service`."""
        chosen = options.model_dump(mode="json", exclude_defaults=True)
        body = json.dumps({"task": task, "input": fields, "options": chosen})
        said, status = self._ask("POST", "/v1/jobs", content=body, kind="application/json", key=key)
        return Submitted(task, 1, job_id=UUID(said["job_id"]), repeated=status == 200)

    def submit_batch(
        self, task: str, lines: Iterable[bytes], fields: Mapping[str, Any], options: JobOptions, key: str | None
    ) -> Submitted:
        """See :class:`cli.service.Service`."""
        find_task(task)
        chosen = options.model_dump(mode="json", exclude_defaults=True)
        said, status = self._ask(
            "POST",
            "/v1/batches",
            params={"task": task, "defaults": json.dumps(fields), **chosen},
            content=_pieces(lines),
            kind="application/jsonl",
            key=key,
        )
        return Submitted(
            task,
            said["total"],
            batch_id=UUID(said["batch_id"]),
            repeated=status == 200,
            resumed_lines=said["resumed_lines"],
        )

    def show(self, job_id: UUID) -> JobView:
        """See :class:`cli.service.Service`."""
        said, _ = self._ask("GET", f"/v1/jobs/{job_id}", missing=f"There is no job {job_id}.")
        return JobView.model_validate(said)

    def progress(self, batch_id: UUID) -> Progress:
        """See :class:`cli.service.Service`."""
        said, _ = self._ask("GET", f"/v1/batches/{batch_id}", missing=f"There is no batch {batch_id}.")
        view = BatchView.model_validate(said)
        return Progress(
            batch_id=view.batch_id,
            task=view.task,
            total=view.total,
            states={state.value: jobs for state, jobs in view.states.items()},
            answered_by={by.value: jobs for by, jobs in view.answered_by.items()},
            input_tokens=view.input_tokens,
            output_tokens=view.output_tokens,
            attempts=view.attempts,
            repairs=view.repairs,
            cost_usd=view.cost_usd,
            is_receiving=view.state is BatchState.RECEIVING,
        )

    def results(self, batch_id: UUID) -> Iterator[JobView]:
        """See :class:`cli.service.Service`. A stream that breaks off is gone on with behind the last whole line."""
        after = 0
        while True:
            try:
                for view in self._results(batch_id, after):
                    after = view.line or after
                    yield view
            except httpx2.RemoteProtocolError:
                continue
            return

    def cancel(self, which: UUID) -> Ended:
        """See :class:`cli.service.Service`."""
        try:
            before = self.show(which)
        except NotFound:
            said, _ = self._ask("DELETE", f"/v1/batches/{which}", missing=f"There is no job or batch {which}.")
            return Ended(said["cancelled"], upload=said["upload_dropped"])
        said, _ = self._ask("DELETE", f"/v1/jobs/{which}")
        return Ended(int(said["state"] == "cancelled" and before.state != "cancelled"))

    def retry(self, batch_id: UUID) -> int:
        """See :class:`cli.service.Service`."""
        said, _ = self._ask("POST", f"/v1/batches/{batch_id}/retry", missing=f"There is no batch {batch_id}.")
        retried: int = said["retried"]
        return retried

    def _results(self, batch_id: UUID, after: int) -> Iterator[JobView]:
        path = f"/v1/batches/{batch_id}/results"
        with (
            _as_use_case(f"There is no batch {batch_id}."),
            self._api.stream("GET", path, params={"after": after}) as response,
        ):
            for line in response.iter_lines():
                yield JobView.model_validate_json(line)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        content: "str | Iterator[bytes] | None" = None,
        kind: str | None = None,
        key: str | None = None,
        missing: str | None = None,
    ) -> tuple[dict[str, Any], int]:
        headers = {"Content-Type": kind, "Idempotency-Key": key}
        with _as_use_case(missing):
            return self._api.ask(method, path, params=params, content=content, headers=headers)


@contextmanager
def _as_use_case(missing: str | None) -> Iterator[None]:
    """Refusals in the words of the use case; ``missing`` is what it says of an id that is nobody's."""
    try:
        yield
    except Refused as refused:
        if refused.kind == NOT_FOUND:
            raise NotFound(missing or "This key opens nothing here: is it a producer's?") from None
        told = [] if refused.kind == IDEMPOTENCY_CONFLICT else [_reason(one) for one in refused.errors]
        raise SubmitRefused(told or [refused.detail]) from None


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines together, each ended, in pieces worth sending."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line if line.endswith(b"\n") else line + b"\n")
        size += len(held[-1])
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _reason(error: Mapping[str, str]) -> str:
    """As the use case would have said it: its fields are those of the request, not of the body."""
    path = error["path"].removeprefix("input.")
    return f"{path}: {error['detail']}" if path else error["detail"]
