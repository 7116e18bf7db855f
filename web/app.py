"""Puts the web together: routers, errors, headers, what is opened at the start and closed at the end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles

from schemas.settings import Settings
from storage.opening import open_database
from web import problems
from web.bodies import BodyLimit
from web.headers import SecurityHeaders
from web.pages import STATIC
from web.rates import Rates
from web.site import REDIS_SECONDS, Site, connect_redis

POOL_SIZE = 16
"""Database connections of one process: a request holds one for milliseconds."""
ROUTERS = (
    "web.api.jobs",
    "web.api.batches",
    "web.api.reviews",
    "web.api.review_queue",
    "web.api.second_reviews",
    "web.api.events",
    "web.api.webhooks",
    "web.api.documents",
    "web.signing_in",
    "web.desk.pages",
    "web.operators.pages",
    "web.operators.health",
)
"""Modules that have a ``router``, and perhaps ``opened(site)``: an async context manager that lives as long as the process."""
_DESCRIPTION = """Submit documents, follow them, fetch answers, decide reviews. Every error is a problem document
(RFC 9457) with a stable `type`. Send `Authorization: Bearer assay_...`; make keys with `assay keys create`."""


def make_app(settings: Settings) -> FastAPI:
    """The ASGI application; it connects when it starts."""
    modules = [import_module(name) for name in ROUTERS]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        site = open_site(settings)
        app.state.site = site
        try:
            async with AsyncExitStack() as around:
                for module in modules:
                    if hasattr(module, "opened"):
                        await around.enter_async_context(module.opened(site))
                yield
        finally:
            site.close()

    app = FastAPI(
        title="Assay",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # Swagger's page needs inline scripts and a CDN; web.api.documents serves the document itself
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # to where the header Host says, which anybody may write
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app)
    for module in modules:
        router: APIRouter = module.router
        app.include_router(router)
        if (install := getattr(module, "install", None)) is not None:
            install(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders, hsts=settings.web_secure_cookies)
    return app


def open_site(settings: Settings) -> Site:
    """Everything that requests share.

    Raises:
        NotConfigured, UnsafeDatabase: see their sentences.
    """
    timeouts: dict[str, Any] = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
    return Site(
        settings=settings,
        database=open_database(settings, pool_size=POOL_SIZE),
        redis=connect_redis(settings),
        rates=Rates(settings.redis_url, **timeouts),
        parts={},
    )
