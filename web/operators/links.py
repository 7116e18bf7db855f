"""Addresses of the operators' pages: every number leads to the jobs behind it."""

from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from jobs.behind import Listing
from schemas.alerts import Alert
from schemas.figures import FIGURES, Behind, Dimension, Figure
from schemas.job_lists import Place

HOME = "/operators"
JOBS = f"{HOME}/jobs"
ALERTS = f"{HOME}/alerts"

_LISTINGS = {
    Behind.LANDED: Listing.LANDED,
    Behind.ATTEMPTS: Listing.CALLS,
    Behind.SUBMITTED: Listing.SUBMITTED,
    Behind.WAITING: Listing.WAITING,
    Behind.REVIEWS: Listing.IN_REVIEW,
}


def jobs(listing: Listing, **filters: object) -> str:
    """The list of some jobs; filters that are None are left out."""
    given = [f"{name}={quote(value, safe=':~')}" for name, value in _given(filters).items()]
    return f"{JOBS}?{'&'.join([f'list={listing}', *given])}"


def job(job_id: UUID) -> str:
    """A job's story."""
    return f"{JOBS}/{job_id}"


def behind(figure: Figure, **filters: object) -> str | None:
    """The jobs that a figure counts; None where it counts none."""
    listing = _LISTINGS.get(figure.behind)
    if listing is None:
        return None
    times = {} if listing.is_of_now else {name: filters.pop(name, None) for name in ("window", "since", "until")}
    return jobs(listing, **{**times, **filters, **dict(figure.narrowed)})


def behind_alert(alert: Alert) -> str | None:
    """The jobs of an alert, in the time that it was about."""
    figure = FIGURES.get(alert.figure)
    if figure is None:
        return None
    labels = {str(one): alert.labels.get(one) for one in Dimension}
    since = datetime.fromtimestamp(alert.fired_at.timestamp() - alert.window_seconds - 60, alert.fired_at.tzinfo)
    waited = {"waited_over": f"{min(alert.value, alert.threshold):g}"} if figure.name == "wait_p95_seconds" else {}
    times = {"since": as_text(since), "until": as_text(alert.seen_at)}
    return behind(figure, **labels, **waited, **times)


def as_text(moment: datetime) -> str:
    """A moment in an address."""
    return moment.isoformat().replace("+00:00", "Z")


def cursor(place: Place) -> str:
    """Where a list goes on, in an address."""
    return f"{as_text(place.at)}~{place.job_id}~{place.number}"


def read_cursor(text: str) -> Place:
    """The same, read.

    Raises:
        ValueError: it is none.
    """
    at, job_id, number = text.split("~")
    return Place(at=datetime.fromisoformat(at), job_id=UUID(job_id), number=int(number))


def _given(filters: dict[str, object]) -> dict[str, str]:
    return {
        name: as_text(value) if isinstance(value, datetime) else str(value)
        for name, value in filters.items()
        if value is not None
    }
