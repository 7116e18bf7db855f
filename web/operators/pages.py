"""The operators' pages: how it goes, the jobs behind each number, a job's story, alerts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict

from jobs import alerts, behind, show
from jobs.access import SignedIn
from jobs.behind import Listing
from jobs.figures import Window, read_alerts, read_figures, read_work
from schemas.alerts import Alert
from schemas.job_lists import Filters, JobList, Outcome
from storage import jobs as stored_jobs
from tasks import catalogue
from web.access import AtOperators
from web.operators import links, shown, story, windows
from web.operators.overview import Looking, overview
from web.pages import page
from web.problems import Kind, Problem
from web.site import Site, TheSite

SEEN = "seen_by_operator"
"""The event that a look at a job's story leaves in it."""
_LABEL = {"max_length": 200, "pattern": r"^[^\x00-\x1f]*$"}

router = APIRouter(include_in_schema=False)


@asynccontextmanager
async def opened(site: Site) -> AsyncIterator[None]:
    """Keep a reader of admission's windows while the process lives."""
    site.parts[windows.PART] = reader = windows.open_windows(site)
    try:
        yield
    finally:
        if reader is not None:
            reader.close()


@router.get(links.HOME)
def home(
    request: Request,
    site: TheSite,
    signed_in: AtOperators,
    window: Window = Window.HOUR,
    tenant: Annotated[str | None, Query(**_LABEL)] = None,
    task: Annotated[str | None, Query(**_LABEL)] = None,
) -> HTMLResponse:
    """How it goes: flow, waits, spend, rates, reviews, admission, workers."""
    looking = Looking(window, tenant or None, task or None)
    scopes = windows.read_windows(site)
    health, processes = read_work(site.database, site.settings, closed_models=windows.closed_models(scopes))
    figures = read_figures(site.database, window, tenant=looking.tenant, task=looking.task)
    return page(
        request, "operators/overview.html", signed_in=signed_in, section="operators", shown=shown, links=links,
        looking=looking, windows=list(Window), tasks=sorted(catalogue()), figures=figures,
        view=overview(figures, looking),
        health=health, processes=processes, scopes=scopes, sentence=alerts.sentence, listing=Listing,
        readable=_readable(site, signed_in, figures.firing),
    )  # fmt: skip


class Asked(BaseModel):
    """Which jobs a list is of, as its address says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    list: Listing = Listing.LANDED
    window: Window = Window.HOUR
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    tenant: str | None = None
    task: str | None = None
    prompt_version: str | None = None
    model: str | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    purpose: str | None = None
    waited_over: float | None = None
    batch: UUID | None = None
    cursor: str | None = None

    def filters(self) -> Filters:
        """What it is narrowed to; an empty field of the form narrows nothing."""
        names = Filters.model_fields
        given = {name: value for name, value in self.model_dump(include=set(names)).items() if value not in {None, ""}}
        return Filters(**given)

    def link(self, **changes: object) -> str:
        """The address of the same list with these changes."""
        values = {**self.model_dump(exclude_defaults=True), **changes}
        values.pop("list", None)
        return links.jobs(self.list, **values)


def asked(request: Request) -> Asked:
    """The address, read. What is no filter, or empty, is as if it were not there."""
    given = {name: value for name, value in request.query_params.items() if value}
    try:
        found = Asked.model_validate(given)
        if found.cursor:
            links.read_cursor(found.cursor)
        found.filters()
    except ValueError:
        raise Problem(Kind.NOT_FOUND) from None
    return found


@router.get(links.JOBS)
def jobs(
    request: Request, site: TheSite, signed_in: AtOperators, wanted: Annotated[Asked, Depends(asked)]
) -> HTMLResponse:
    """The jobs behind a number, without content; those of the operator's own tenants lead to their story."""
    after = links.read_cursor(wanted.cursor) if wanted.cursor else None
    filters = wanted.filters()
    seconds = float(wanted.window.seconds)
    batches = []
    found: JobList
    if wanted.batch is not None:
        found = behind.list_batch(site.database, wanted.batch, after_line=after.number if after else 0)
    else:
        found = behind.list_jobs(
            site.database, wanted.list, filters, since=wanted.since, until=wanted.until, seconds=seconds, after=after
        )
        if wanted.list is Listing.SUBMITTED and after is None:
            batches = behind.list_batches(
                site.database, filters, since=wanted.since, until=wanted.until, seconds=seconds
            )
    return page(
        request, "operators/jobs.html", signed_in=signed_in, section="jobs", shown=shown, links=links,
        asked=wanted, found=found, batches=batches, own=set(signed_in.principal.tenants), windows=list(Window),
        listings=list(Listing), outcomes=list(Outcome), tasks=sorted(catalogue()),
        next_page=wanted.link(cursor=links.cursor(found.go_on)) if found.go_on else None,
    )  # fmt: skip


@router.get(links.JOBS + "/{job_id}")
def job(request: Request, site: TheSite, signed_in: AtOperators, job_id: UUID) -> HTMLResponse:
    """A job's story with all that was sent and received. That it was looked at becomes part of it."""
    tenant = behind.tenants_of(site.database, [job_id]).get(job_id)
    if tenant is None or tenant not in signed_in.principal.tenants:
        raise Problem(Kind.NOT_FOUND)
    found = show.story(site.database, tenant, job_id)
    with site.database.tenant(tenant) as connection:
        stored_jobs.note_event(connection, tenant, [job_id], SEEN, signed_in.principal.name)
    return page(
        request, "operators/job.html", signed_in=signed_in, section="jobs", shown=shown, links=links,
        tenant=tenant, story=found, timeline=story.timeline(found), pretty=story.pretty,
    )  # fmt: skip


@router.get(links.ALERTS)
def alerts_page(request: Request, site: TheSite, signed_in: AtOperators) -> HTMLResponse:
    """What fires, what did, and by which rules."""
    firing, ended = read_alerts(site.database)
    return page(
        request, "operators/alerts.html", signed_in=signed_in, section="alerts", shown=shown, links=links,
        firing=firing, ended=ended, rules=alerts.rules_of(site.settings), sentence=alerts.sentence,
        readable=_readable(site, signed_in, [*firing, *ended]),
    )  # fmt: skip


def _readable(site: Site, signed_in: SignedIn, told: Sequence[Alert]) -> set[UUID]:
    """The jobs of these alerts whose story this operator may read: the others are named without a link."""
    named = {job_id for one in told for job_id in one.jobs}
    if not named:
        return set()
    tenants = behind.tenants_of(site.database, list(named))
    return {job_id for job_id, tenant in tenants.items() if tenant in signed_in.principal.tenants}
