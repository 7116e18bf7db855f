"""The API's client of the commands. What the API refuses becomes the same refusal that the use case raises."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import httpx2
from pydantic import SecretStr

from cli.ended import Ended
from cli.errors import work_failed, wrong_usage
from jobs.cancel import NotFound
from jobs.contract import SubmitRefused
from jobs.show import Progress
from jobs.submit import Submitted
from schemas.job import JobOptions, JobView
from schemas.listing import BatchState, BatchView
from tasks import find_task

if TYPE_CHECKING:
    from cli.service import Service

CONNECT_SECONDS = 5.0
READ_SECONDS = 120.0
"""An upload is answered when its last line is written, which takes seconds for 100,000."""
PIECE_BYTES = 256 * 1024
"""Lines are sent in pieces of about this size: one by one each would cost a packet."""
NOT_FOUND, CONFLICT = "/problems/not-found", "/problems/idempotency-conflict"


@contextmanager
def over_http(url: str, key: SecretStr | None) -> "Iterator[Service]":
    """A client of the API at this address.

    Raises:
        Stop: no key is set.
    """
    if key is None:
        raise wrong_usage("ASSAY_URL is set and ASSAY_API_KEY is not: set it to a key, made with `assay keys create`.")
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"}
    timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx2.Client(base_url=url, headers=headers, timeout=timeout) as client:
        yield OverHttp(client)


class OverHttp:
    """The API, called over HTTP."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

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
        with self._sent("GET", f"/v1/batches/{batch_id}/results", params={"after": after}) as response:
            if response.is_error:
                response.read()
                _refuse(response, f"There is no batch {batch_id}.")
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
        given = {name: value for name, value in headers.items() if value is not None}
        with self._sent(method, path, params=params, content=content, headers=given) as response:
            response.read()
            if response.is_error:
                _refuse(response, missing)
            said: dict[str, Any] = response.json()
            return said, response.status_code

    @contextmanager
    def _sent(self, method: str, path: str, **sent: Any) -> Iterator[httpx2.Response]:
        try:
            with self._client.stream(method, path, **sent) as response:
                yield response
        except httpx2.TransportError as error:
            if isinstance(error, httpx2.RemoteProtocolError):
                raise
            raise work_failed(
                f"Assay at {self._client.base_url} does not answer ({type(error).__name__}): check ASSAY_URL."
            ) from None


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


def _refuse(response: httpx2.Response, missing: str | None = None) -> NoReturn:
    """Raise what the problem document says."""
    try:
        problem = response.json()
        kind, detail, advice, errors = (problem[name] for name in ("type", "detail", "what_to_do", "errors"))
    except (ValueError, KeyError, TypeError):
        raise work_failed(
            f"{response.url.host} answered with status {response.status_code} and no problem document: is ASSAY_URL Assay's?"
        ) from None
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        raise wrong_usage("ASSAY_API_KEY is no valid key: it may be revoked, or have expired.")
    if kind == NOT_FOUND:
        raise NotFound(missing or "This key opens nothing here: is it a producer's?")
    if response.is_client_error and response.status_code != httpx2.codes.TOO_MANY_REQUESTS:
        raise SubmitRefused([detail] if kind == CONFLICT or not errors else [_reason(one) for one in errors])
    raise work_failed(f"{detail} {advice}")


def _reason(error: Mapping[str, str]) -> str:
    """As the use case would have said it: its fields are those of the request, not of the body."""
    path = error["path"].removeprefix("input.")
    return f"{path}: {error['detail']}" if path else error["detail"]
