"""Server-rendered pages: templates, in which everything is escaped unless it was made here."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent
STATIC = HERE / "static"
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,  # a page that forgets a value fails in its test and not in silence
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES = Jinja2Templates(env=_ENVIRONMENT)


def add_filters(filters: Mapping[str, Callable[..., Any]]) -> None:
    """What a part of the pages says in its templates."""
    _ENVIRONMENT.filters.update(filters)


def page(request: Request, template: str, status_code: int = 200, **values: Any) -> HTMLResponse:
    """A page.

    Args:
        template: its file below web/templates.
        values: what it shows.
    """
    return _TEMPLATES.TemplateResponse(request, template, values, status_code=status_code)
