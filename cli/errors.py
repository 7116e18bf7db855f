"""What the command line says when something is wrong: one plain sentence, never a traceback.

Exit codes are a promise: 0 done, 1 the work failed, 2 wrong usage, which includes an input that breaks its contract and
an id that does not exist. Ctrl-C ends with 130.
"""

import os
import sys
import traceback
from typing import NoReturn

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_CODES = {
    "jobs.cancel.NotFound": USAGE,
    "jobs.review_refusals.DecisionRefused": USAGE,
    "jobs.review_rates.RateRefused": USAGE,
    "jobs.contract.SubmitRefused": USAGE,
    "jobs.tenancy.TenancyRefused": USAGE,
    "jobs.webhooks.WebhookRefused": USAGE,
    "tasks.UnknownTask": USAGE,
    "tasks.spec.RequestRefused": USAGE,
    "stack.errors.StackError": FAILED,
    "schemas.settings.SettingsRefused": USAGE,
    "storage.guard.UnsafeDatabase": FAILED,
    "storage.migrate.MigrationRefused": FAILED,
    "storage.opening.NotConfigured": FAILED,
    "telemetry.traces.TracesRefused": FAILED,
}
"""The house's refusals by qualified name: their messages are sentences. By name, so that none need be imported here."""

_DATABASE_ERROR = "sqlalchemy.exc.SQLAlchemyError"
_BAD_DATABASE_URL = "sqlalchemy.exc.ArgumentError"


class Stop(Exception):
    """Ends the command with a sentence on standard error and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        self.code = code
        super().__init__(message)


def wrong_usage(message: str) -> Stop:
    """The caller gave something that cannot be worked with; nothing was done."""
    return Stop(message, USAGE)


def work_failed(message: str) -> Stop:
    """The work was done and failed, or could not be done now."""
    return Stop(message, FAILED)


def end_with(error: BaseException) -> NoReturn:
    """Say what is wrong and exit; with ASSAY_DEBUG=1 the trace comes first."""
    if isinstance(error, BrokenPipeError):
        _silence_output()
        sys.exit(FAILED)
    if os.environ.get("ASSAY_DEBUG"):
        traceback.print_exception(error)
    sentence, code = explain(error)
    say(sentence)
    sys.exit(code)


def say(sentence: str) -> None:
    """One line on standard error."""
    try:
        sys.stderr.write(f"assay: {sentence}\n")
        sys.stderr.flush()
    except (BrokenPipeError, UnicodeEncodeError):
        return


def explain(error: BaseException) -> tuple[str, int]:
    """The sentence for an error, and the exit code that goes with it."""
    if isinstance(error, Stop):
        return str(error), error.code
    kinds = _names(error)
    code = next((_CODES[kind] for kind in kinds if kind in _CODES), None)
    if code is not None:
        return _as_lines(error), code
    foreign = _of_a_library(error, kinds)
    return foreign or (f"unexpected {type(error).__name__}; run again with ASSAY_DEBUG=1 to see the trace", FAILED)


def _of_a_library(error: BaseException, kinds: list[str]) -> tuple[str, int] | None:
    if _BAD_DATABASE_URL in kinds:
        return "DATABASE_URL is not a database URL; use postgresql://user:password@host/name.", USAGE
    if _DATABASE_ERROR in kinds:
        return _database_sentence(error), FAILED
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror.lower()}.", FAILED
    return None


def _names(error: BaseException) -> list[str]:
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]


def _as_lines(error: BaseException) -> str:
    """Several reasons stand on lines of their own."""
    reasons = getattr(error, "reasons", None)
    return "\n  ".join(reasons) if reasons else str(error)


def _database_sentence(error: BaseException) -> str:
    cause = getattr(error, "orig", None)
    if "sqlalchemy.exc.OperationalError" in _names(error) or cause is None:
        said = " ".join(str(cause).split())[:300] if cause is not None else type(error).__name__
        return f"The database is not reachable: {said}. Check DATABASE_URL and that the server runs."
    # Its text could repeat a document: the kind of error alone is said.
    return f"The database refused the work ({type(cause).__name__}); nothing was written."


def _silence_output() -> None:
    """Whoever read our output has gone: Python's own flush at exit must not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
