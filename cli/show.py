"""`assay show`, `results`, `cancel` and `retry`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import say, work_failed, wrong_usage
from cli.options import DEFAULT_TENANT, AsJson, BatchId, JobId, Tenant, read_id
from cli.output import as_json as json_text
from cli.output import print_fields, print_json, print_line, write
from cli.service import connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.job import JobView


def show(job: JobId, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """Show a job: its state, who answered, and the answer."""
    job_id = read_id(job, "job")
    with connected(tenant) as service:
        print_view(service.show(job_id), as_json=as_json)


def results(
    batch: BatchId,
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="Write there, whole or not at all.")] = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Annotated[bool, typer.Option("--json", help="JSONL is what is printed anyway.")] = False,
) -> None:
    """Print a batch as JSONL: one line per input line, in their order, whatever its state."""
    del as_json
    batch_id = read_id(batch, "batch")
    with connected(tenant) as service:
        from cli.progress import received

        progress = service.progress(batch_id)
        if progress.is_receiving:
            say(f"Batch {batch_id} is {received(progress.total)}; there are no results before it is whole.")
        lines = _jsonl(iter(()) if progress.is_receiving else service.results(batch_id))
        if out is None:
            for line in lines:
                write(line)
            return
        count = _write_whole(Path(out), lines)
        say(f"{count:,} lines written to {out}.")


def cancel(
    which: Annotated[str, typer.Argument(metavar="JOB|BATCH", show_default=False, help="What to cancel.")],
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Cancel a job, or all of a batch that is not over yet."""
    its_id = read_id(which, "job or batch")
    with connected(tenant) as service:
        ended = service.cancel(its_id)
    if as_json:
        print_json({"cancelled": ended.jobs, "upload_dropped": ended.upload})
    elif ended.upload:
        print_line("The batch was still being received: it is dropped, and its idempotency key is free.")
    elif ended.jobs:
        print_line("1 job cancelled." if ended.jobs == 1 else f"{ended.jobs:,} jobs cancelled.")
    else:
        print_line("Nothing to cancel: it was over already.")


def retry(batch: BatchId, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """Queue the failed jobs of a batch again."""
    batch_id = read_id(batch, "batch")
    with connected(tenant) as service:
        again = service.retry(batch_id)
    if as_json:
        print_json({"batch_id": batch_id, "retried": again})
    elif again:
        jobs = "1 job is" if again == 1 else f"{again:,} jobs are"
        print_line(f"{jobs} queued again; follow with: assay watch {batch_id}")
    else:
        print_line("Nothing to retry: no job of this batch has failed.")


def print_view(view: "JobView", *, as_json: bool) -> None:
    """A job as the outside sees it."""
    if as_json:
        print_json(view)
        return
    print_fields(
        [
            ("job", view.job_id),
            ("batch", view.batch_id),
            ("line", view.line),
            ("reference", view.reference),
            ("task", view.task),
            ("state", f"{view.state}{_advice(view)}"),
            ("answered by", view.answered_by),
            ("model failed" if view.answered_by else "failure", _failure(view)),
        ]
    )
    if view.answer is not None:
        print_line("answer")
        print_line(json_text(view.answer, indent=2))


def raise_if_failed(view: "JobView") -> None:
    """A job that ended without an answer is work that failed; one in review is not."""
    if view.state in {"failed", "cancelled"}:
        raise work_failed(f"Job {view.job_id} {'has failed' if view.state == 'failed' else 'was cancelled'}.")


def _advice(view: "JobView") -> str:
    if view.state == "in_review":
        return f": a person must decide (assay review claim {view.job_id})"
    return ""


def _failure(view: "JobView") -> str | None:
    if view.failure is None:
        return None
    detail = f": {view.failure.detail}" if view.failure.detail else ""
    return f"{view.failure.reason}{detail}"


def _jsonl(views: "Iterator[JobView]") -> "Iterator[str]":
    for view in views:
        yield json_text(view.model_dump(mode="json")) + "\n"


def _write_whole(path: Path, lines: "Iterator[str]") -> int:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    try:
        with draft.open("w", encoding="utf-8") as stream:
            for line in lines:
                stream.write(line)
                count += 1
        draft.replace(path)
    except OSError as error:
        raise wrong_usage(f"Cannot write {path}: {(error.strerror or str(error)).lower()}.") from None
    finally:
        draft.unlink(missing_ok=True)
    return count
