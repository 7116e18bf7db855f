"""From what a provider says went wrong to a failure with its cause.

The sentences are ours: a provider's own words may echo the document, so they go into the audit record only.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

from schemas.failure import Failure, FailureReason

LONGEST_WAIT_SECONDS = 86_400.0
"""Whoever asks for a longer wait is asked again after a day; a figure without bounds would reach the database's clock."""

LONGEST_GUESSED_WAIT_SECONDS = 600.0
"""For a date without the provider's own date beside it: this machine's clock may be wrong."""

_SPEND_LIMIT = re.compile("spend_limit")
_TOO_LONG = re.compile("prompt is too long|exceed context limit|context window", re.IGNORECASE)
_NO_CREDIT = re.compile("credit balance is too low", re.IGNORECASE)
_WORD = re.compile("[a-z][a-z_]{1,60}")

_CHECKS = {
    401: "The provider refused the key (401): check ANTHROPIC_API_KEY.",
    402: "The provider asks for payment (402): check the account's billing.",
    403: "The key may not do this (403): check its permissions and its workspace at the provider.",
    404: "The provider does not know this model or address (404): check the ASSAY_MODEL_... settings"
    " and ANTHROPIC_BASE_URL.",
}
_STATUS_BY_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def from_status(status: int, body: object, headers: Mapping[str, str]) -> Failure:
    """The failure behind an error response.

    Args:
        body: the response's JSON, or whatever else came.
        headers: the response's headers, by any case the mapping understands.
    """
    return _cause(status, _error_of(body), retry_after(headers))


def from_error_event(error: Mapping[str, Any]) -> Failure:
    """The failure behind an error that came within a stream, when the status had long been 200."""
    return _cause(_STATUS_BY_TYPE.get(str(error.get("type")), 500), error, None)


def _cause(status: int, error: Mapping[str, Any], wait: float | None) -> Failure:
    said, code = str(error.get("message") or ""), _code_of(error)
    if status == 429 and _SPEND_LIMIT.search(code):
        # Waiting seconds does not help: somebody raises the limit, or the month ends.
        return Failure(
            reason=FailureReason.BUDGET_EXHAUSTED,
            detail="The provider's spend limit for this account is reached (429): raise it in the provider's console.",
        )
    if status == 400 and _NO_CREDIT.search(said):
        return Failure(
            reason=FailureReason.MISCONFIGURED,
            detail="The provider's account has no credit left (400): add credit in the provider's console.",
        )
    if status == 413 or (status == 400 and _TOO_LONG.search(said)):
        return Failure(
            reason=FailureReason.CONTEXT_TOO_LONG, detail=f"The provider says that the prompt is too long ({status})."
        )
    return _by_status(status, _named(error, code), wait)


def _by_status(status: int, name: str, wait: float | None) -> Failure:
    if status in _CHECKS:
        return Failure(reason=FailureReason.MISCONFIGURED, detail=_CHECKS[status])
    if status in {409, 429}:
        return Failure(
            reason=FailureReason.RATE_LIMITED, detail=f"The provider asks to slow down ({name}).", retry_after=wait
        )
    if status == 408:
        return Failure(reason=FailureReason.TIMEOUT, detail=f"The provider gave up waiting ({name}).", retry_after=wait)
    if status >= 500:
        return Failure(
            reason=FailureReason.OVERLOADED, detail=f"The provider cannot answer now ({name}).", retry_after=wait
        )
    if 300 <= status < 400:
        return Failure(
            reason=FailureReason.MISCONFIGURED,
            detail=f"The address leads elsewhere ({status}): check ANTHROPIC_BASE_URL.",
        )
    return Failure(
        reason=FailureReason.BAD_REQUEST,
        detail=f"The provider refused the request as malformed ({name}); its words stand in the attempt's record.",
    )


def _error_of(body: object) -> Mapping[str, Any]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _code_of(error: Mapping[str, Any]) -> str:
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    return code if isinstance(code, str) and _WORD.fullmatch(code) else ""


def _named(error: Mapping[str, Any], code: str) -> str:
    """The error's class in the provider's words, which are fixed words and not input."""
    kind = error.get("type")
    return code or (kind if isinstance(kind, str) and _WORD.fullmatch(kind) else "unnamed error")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date.

    A date is read by the provider's own clock, the response's ``Date``: this machine's may be wrong by hours. No answer
    is longer than :data:`LONGEST_WAIT_SECONDS`.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    asked = headers.get("retry-after")
    seconds = _number(asked) if milliseconds is None else milliseconds / 1000
    if seconds is None and asked:
        seconds = _until(asked, headers.get("date"))
    return None if seconds is None else min(seconds, LONGEST_WAIT_SECONDS)


def _until(asked: str, date: str | None) -> float | None:
    """Seconds until an HTTP date."""
    until, now = _date(asked), _date(date)
    if until is None:
        return None
    if now is None:
        return min(max(0.0, until - time.time()), LONGEST_GUESSED_WAIT_SECONDS)
    return max(0.0, until - now)


def _date(text: str | None) -> float | None:
    try:
        date = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    # A date with the zone "-0000" comes without one; HTTP knows only UTC.
    return date.replace(tzinfo=date.tzinfo or UTC).timestamp() if date else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and isfinite(value) and value >= 0 else None
