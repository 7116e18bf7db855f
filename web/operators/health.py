"""For machines that watch: is the process alive, does work go on, and all figures for Prometheus."""

import logging
import threading
import time

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from jobs import alerts
from jobs.figures import read_totals, read_work
from schemas.health import Verdict
from web.access import Operator
from web.operators import windows
from web.operators.metrics import MOST_TENANTS, Collector, Reading
from web.problems import Kind, documented
from web.site import Site, TheSite

KEPT_SECONDS = 2.0
"""An answer of ``/readyz`` is kept for so long: anybody may ask, as often as they like."""
AWAY = "unavailable"
_PART = "operators.readiness"

_log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Readiness:
    """The verdict, read anew when the last one is old."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._verdict = AWAY
        self._till = 0.0

    def verdict(self, site: Site) -> str:
        """``ok``, ``slow``, ``stuck`` or ``unavailable``."""
        with self._lock:
            if time.monotonic() >= self._till:
                self._verdict = _verdict(site)
                self._till = time.monotonic() + KEPT_SECONDS
            return self._verdict


def _verdict(site: Site) -> str:
    try:
        health, _ = read_work(
            site.database, site.settings, closed_models=windows.closed_models(windows.read_windows(site))
        )
    except SQLAlchemyError as error:
        _log.warning("not ready: the database does not answer (%s)", type(error).__name__)
        return AWAY
    return str(health.verdict)


@router.get("/healthz", summary="Is this process alive?", responses={200: {"description": "It is."}})
def healthz() -> JSONResponse:
    """The web process answers. Whether work goes on is another question: `/readyz`."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    summary="Does work go on?",
    responses={
        200: {"description": "It does, perhaps slowly.", "content": {"application/json": {"example": {"status": "ok"}}}},
        503: {
            "description": "It is stuck, or the database does not answer.",
            "content": {"application/json": {"example": {"status": "stuck"}}},
        },
    },
)  # fmt: skip
def readyz(site: TheSite) -> JSONResponse:
    """Judged by progress: jobs that wait are claimed, handed out and swept. What is wrong stands on the operators' page
    and in `assay doctor`."""
    readiness: Readiness = site.parts.setdefault(_PART, Readiness())
    status = readiness.verdict(site)
    return JSONResponse({"status": status}, 503 if status in {Verdict.STUCK, AWAY} else 200)


@router.get(
    "/metrics",
    summary="All figures, for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus's text format.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": "assay_workers 2.0\n"}},
        },
        **documented(Kind.UNAUTHENTICATED, Kind.NOT_FOUND, Kind.INVALID_REQUEST, Kind.RATE_LIMITED, Kind.UNAVAILABLE),
    },
)
def metrics(site: TheSite, _caller: Operator) -> Response:
    """Counters since ever and gauges of the moment, with bounded labels. It takes an operator's key."""
    scopes = windows.read_windows(site)
    health, _ = read_work(site.database, site.settings, closed_models=windows.closed_models(scopes))
    found = read_totals(site.database, tenants=MOST_TENANTS)
    registry = CollectorRegistry(auto_describe=False)
    reading = Reading(
        totals=found.totals,
        tenants=frozenset(found.tenants),
        oldest=found.oldest,
        backlog=found.backlog,
        firing=found.firing,
        health=health,
        counted_seconds_ago=found.counted_seconds_ago,
        scopes=scopes,
        rules=[rule.name for rule in alerts.rules_of(site.settings)],
    )
    registry.register(Collector(reading))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)
