"""`assay watch`: where a batch stands, until it has landed."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import typer

from cli.errors import INTERRUPTED, say, work_failed
from cli.options import DEFAULT_TENANT, AsJson, BatchId, Tenant, read_id
from cli.progress import BatchProgress, LiveBars, Standing, line_of
from cli.service import Service, connected

if TYPE_CHECKING:
    from schemas.job import JobView

PAUSE_SECONDS = 0.5
PAUSE_FACTOR = 10
"""A look at a large batch takes a while: at most a tenth of the time is spent looking."""
JOB_PAUSE_SECONDS = 0.2


def watch(batch: BatchId, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """Follow a batch until every job has landed. With --json: one line of JSON per change."""
    batch_id = read_id(batch, "batch")
    with connected(tenant) as service:
        wait_for_batch(service, batch_id, as_json=as_json)


def wait_for_batch(service: Service, batch_id: UUID, *, as_json: bool) -> None:
    """Follow a batch; ends with exit code 1 when jobs of it have failed.

    Raises:
        Stop: jobs have failed.
        Exit: Ctrl-C was pressed.
    """
    from cli.output import as_json as json_text
    from cli.output import print_line, write

    with _jobs_go_on(f"assay watch {batch_id}"):
        last: Standing | None = None
        for standing in _standings(service, [batch_id], live=_is_live(as_json)):
            last = standing[0]
            if as_json:
                write(json_text(last.as_dict()) + "\n")
            elif not _is_live(as_json):
                print_line(line_of(last))
    if last is not None and last.progress.states.get("failed", 0):
        failed = last.progress.states["failed"]
        raise work_failed(
            f"{failed:,} of {last.progress.total:,} jobs have failed: see `assay results {batch_id}`,"
            f" and `assay retry {batch_id}` runs them again."
        )


def follow(service: Service, batches: list[UUID], *, quiet: bool = False) -> None:
    """Show several batches live until all have landed."""
    from cli.output import print_line

    live = _is_live(quiet)
    for standings in _standings(service, batches, live=live):
        if not live and not quiet:
            print_line(" | ".join(line_of(standing) for standing in standings))


def wait_for_job(service: Service, job_id: UUID) -> "JobView":
    """Wait until no machine works on a job any more.

    Raises:
        Exit: Ctrl-C was pressed.
    """
    from schemas.job import LANDED_STATES

    with _jobs_go_on(f"assay show {job_id}"):
        while (view := service.show(job_id)).state not in LANDED_STATES:
            time.sleep(JOB_PAUSE_SECONDS)
    return view


def _standings(service: Service, batches: list[UUID], *, live: bool) -> Iterator[list[Standing]]:
    """Where the batches stand, at each change; drawn as bars meanwhile where there is a terminal."""
    watched = [BatchProgress() for _ in batches]
    before: list[Standing] = []
    with LiveBars(on=live) as bars:
        while True:
            began = time.monotonic()
            now = [
                one.standing(service.progress(batch_id), began) for one, batch_id in zip(watched, batches, strict=True)
            ]
            bars.draw(now)
            over = all(standing.progress.is_over for standing in now)
            if over or [standing.progress for standing in now] != [standing.progress for standing in before]:
                yield now
            if over:
                return
            before = now
            time.sleep(max(PAUSE_SECONDS, PAUSE_FACTOR * (time.monotonic() - began)))


def _is_live(as_json: bool) -> bool:
    return sys.stdout.isatty() and not as_json


@contextmanager
def _jobs_go_on(again: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped watching; the jobs go on (see them with `{again}`).")
        raise typer.Exit(INTERRUPTED) from None
