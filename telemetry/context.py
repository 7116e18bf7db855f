"""What a thread is working on, so that each log line of it can say so."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ABOUT: ContextVar[dict[str, str] | None] = ContextVar("assay_about", default=None)
"""None and no empty dict: a default is shared by all."""


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Log lines written in the block carry these ids besides those of the blocks around it.

    Args:
        ids: ``job_id``, ``tenant_id``, ``attempt`` ...; None is left out.
    """
    token = _ABOUT.set(present() | {name: str(value) for name, value in ids.items() if value is not None})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def note(**ids: object) -> None:
    """Add ids to the block that is open here, until it ends."""
    _ABOUT.set(present() | {name: str(value) for name, value in ids.items()})


def present() -> dict[str, str]:
    """The ids of the blocks that are open here."""
    return dict(_ABOUT.get() or {})
