"""What the operators' first page shows: figures as words and numbers, each with the address of its jobs."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple

from jobs.behind import Listing
from jobs.figures import Figures, Lane, Window
from schemas.figures import ANSWERED, LANDED, RATES, SPEND, TOKENS, Dimension, total
from storage.figures import Backlog, Counts
from web.operators import links, shown
from web.operators.pictures import HALF, Picture, Row, Series, picture, table

MOST_LANES = 30
MOST_VERSIONS = 30


class Cell(NamedTuple):
    """A number and the jobs behind it."""

    text: str
    href: str | None = None
    tone: str = ""


@dataclass(frozen=True)
class Drawn:
    """A picture and the table that says the same."""

    picture: Picture
    legend: list[tuple[str, str]]
    head: list[str]
    rows: list[Row]


@dataclass(frozen=True)
class Line:
    """A row of a table: its labels, then its numbers."""

    labels: list[str]
    cells: list[Cell]


@dataclass(frozen=True)
class Overview:
    """The page's parts."""

    summary: list[tuple[str, Cell]]
    flow: Drawn
    spend: Drawn
    tokens: Drawn
    lanes: list[Line]
    lanes_left_out: int
    versions: list[Line]
    versions_left_out: int
    rate_titles: list[tuple[str, str]]
    backlog: list[Line]


@dataclass(frozen=True)
class Looking:
    """What the page is of.

    Attributes:
        tenant, task: None is all.
    """

    window: Window
    tenant: str | None
    task: str | None

    def landed(self, outcome: str | None, **more: object) -> str:
        """The jobs that landed so."""
        return self.list_of(Listing.LANDED, outcome=outcome, **more)

    def list_of(self, listing: Listing, **more: object) -> str:
        """A list within the window, or within another time that is given."""
        only: dict[str, object] = {"tenant": self.tenant, "task": self.task, **more}
        if "since" not in only and not listing.is_of_now:
            only["window"] = self.window
        return links.jobs(listing, **only)


def overview(figures: Figures, looking: Looking) -> Overview:
    """Everything but health and admission."""
    return Overview(
        summary=_summary(figures, looking),
        flow=_flow(figures, looking),
        spend=_drawn(figures, [Series("spend", "US dollars", SPEND[:1], partial(_calls_at, looking))], shown.usd),
        tokens=_drawn(
            figures,
            [
                Series("tokens-in", "Tokens in", (TOKENS[0], *TOKENS[2:]), partial(_calls_at, looking)),
                Series("tokens-out", "Tokens out", (TOKENS[1],), partial(_calls_at, looking)),
            ],
            shown.number,
        ),
        lanes=[_lane(lane, looking) for lane in figures.lanes[:MOST_LANES]],
        lanes_left_out=max(0, len(figures.lanes) - MOST_LANES),
        versions=[_version(one, looking) for one in _busiest(figures.versions)[:MOST_VERSIONS]],
        versions_left_out=max(0, len(figures.versions) - MOST_VERSIONS),
        rate_titles=[(rate.title, rate.about) for rate in RATES],
        backlog=[_backlog(one, looking) for one in figures.backlog[:MOST_LANES]],
    )


def _summary(figures: Figures, looking: Looking) -> list[tuple[str, Cell]]:
    totals, hours = figures.totals, figures.span_seconds / 3600
    oldest = next((lane.oldest for lane in figures.lanes if lane.oldest), None)
    waiting = sum(one.waiting for one in figures.backlog)
    return [
        ("Submitted", Cell(shown.number(totals["submitted"]), looking.list_of(Listing.SUBMITTED))),
        ("Answered", Cell(shown.number(total(totals, ANSWERED)), looking.landed("answered"))),
        ("Failed", Cell(shown.number(totals["failed"]), looking.landed("failed"), "bad" if totals["failed"] else "")),
        ("Oldest waiting", Cell(shown.seconds(oldest.seconds if oldest else None), looking.list_of(Listing.WAITING))),
        ("In review", Cell(shown.number(waiting), looking.list_of(Listing.IN_REVIEW))),
        ("Spend an hour", Cell(shown.usd(totals["spend_usd"] / hours), looking.list_of(Listing.CALLS))),
        ("Tokens an hour", Cell(shown.number(total(totals, TOKENS) / hours), looking.list_of(Listing.CALLS))),
    ]


def _flow(figures: Figures, looking: Looking) -> Drawn:
    kinds = [
        ("model", "By the model", "answered_by_model", "model"),
        ("cache", "From the cache", "answered_by_cache", "cache"),
        ("rules", "By rules", "answered_by_rules", "rules"),
        ("person", "By a person", "answered_by_person", "person"),
        ("review", "Sent to review", "sent_to_review", "review"),
        ("failed", "Failed", "failed", "failed"),
        ("turned-down", "Turned down", "turned_down", "turned_down"),
        ("cancelled", "Cancelled", "cancelled", "cancelled"),
    ]
    whole = partial(_landed_at, looking, None)
    stacked = [Series(key, title, (column,), whole) for key, title, column, _ in kinds]
    by_kind = [
        Series(key, title, (column,), partial(_landed_at, looking, outcome)) for key, title, column, outcome in kinds
    ]
    submitted = Series("submitted", "Submitted", ("submitted",), partial(_submitted_at, looking))
    used = [one for one in by_kind if any(total(point.counts, one.columns) for point in figures.points)]
    drawn = picture(
        figures.points, stacked, grain=figures.grain, line=submitted, show=shown.number, clock=shown.clock
    )  # fmt: skip
    rows = table(figures.points, [submitted, *used], grain=figures.grain, show=shown.number, clock=shown.clock)
    legend = [(one.key, one.title) for one in (submitted, *used)]
    return Drawn(drawn, legend, ["Time (UTC)", *(one.title for one in (submitted, *used))], rows)


def _drawn(figures: Figures, series: list[Series], show: shown.Shows) -> Drawn:
    drawn = picture(figures.points, series, grain=figures.grain, width=HALF, show=show, clock=shown.clock)
    rows = table(figures.points, series, grain=figures.grain, show=show, clock=shown.clock)
    titles = [one.title for one in series]
    return Drawn(drawn, [(one.key, one.title) for one in series], ["Time (UTC)", *titles], rows)


def _landed_at(looking: Looking, outcome: str | None, since: datetime, until: datetime) -> str:
    return looking.landed(outcome, since=since, until=until)


def _submitted_at(looking: Looking, since: datetime, until: datetime) -> str:
    return looking.list_of(Listing.SUBMITTED, since=since, until=until)


def _calls_at(looking: Looking, since: datetime, until: datetime) -> str:
    return looking.list_of(Listing.CALLS, since=since, until=until)


def _lane(lane: Lane, looking: Looking) -> Line:
    of = {"tenant": lane.tenant_id, "task": lane.task}
    p95 = Cell(shown.seconds(lane.p95))
    if lane.p95 is not None:
        p95 = Cell(p95.text, looking.landed(None, **of, waited_over=f"{lane.p95:.3g}"))
    oldest = Cell(shown.seconds(lane.oldest.seconds if lane.oldest else None))
    if lane.oldest:
        oldest = Cell(oldest.text, looking.list_of(Listing.WAITING, **of))
    counts = lane.counts
    return Line(
        [lane.tenant_id, lane.task],
        [
            oldest,
            p95,
            Cell(shown.number(counts.get("submitted", 0)), looking.list_of(Listing.SUBMITTED, **of)),
            Cell(shown.number(total(counts, LANDED)), looking.landed(None, **of)),
        ],
    )


def _busiest(versions: list[Counts]) -> list[Counts]:
    return sorted(versions, key=lambda one: -sum(one.counts.get(c, 0) for c in RATES[4].of))


def _version(one: Counts, looking: Looking) -> Line:
    labels = {str(dimension): label for dimension, label in one.labels.items()}
    calls = total(one.counts, RATES[4].of)
    cells = [Cell(shown.number(calls), looking.list_of(Listing.CALLS, **labels))]
    for rate in RATES:
        value = rate.value(one.counts)
        more = {**labels, "tenant": looking.tenant, "window": looking.window}
        href = links.behind(rate, **more) if value else None
        cells.append(Cell(shown.share(value), href, "bad" if value and value >= 0.2 else ""))
    cells.append(Cell(shown.usd(one.counts.get("spend_usd", 0)), looking.list_of(Listing.CALLS, **labels)))
    return Line([one.labels[d] for d in (Dimension.TASK, Dimension.PROMPT_VERSION, Dimension.MODEL)], cells)


def _backlog(one: Backlog, looking: Looking) -> Line:
    href = looking.list_of(Listing.IN_REVIEW, tenant=one.tenant_id, task=one.task)
    cells = [Cell(shown.number(one.waiting), href), Cell(shown.seconds(one.oldest_seconds), href)]
    return Line([one.tenant_id, one.task], [*cells, Cell(shown.number(one.held))])
