"""Error statuses become causes with sentences of ours, and the asked wait is read in every form."""

from email.utils import formatdate
from time import time

import pytest

from orchestration.causes import from_error_event, from_status, retry_after
from schemas.failure import FailureReason as Reason


@pytest.mark.parametrize("body", [None, "text", b"bytes", [], {}, {"error": "x"}, {"error": {"type": 1, "details": 2}}])
def test_every_status_with_any_body_has_a_cause(body: object) -> None:
    """Nothing raises, and 5xx is always the provider's trouble, never ours."""
    for status in range(300, 600):
        failure = from_status(status, body, {})
        assert failure.detail
        assert (failure.reason is Reason.OVERLOADED) == (status >= 500)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Mon, 01 Jan 2024 00:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3),
        ({"retry-after": ""}, None),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Jan 2024 00:01:00 -0000", "date": "Mon, 01 Jan 2024 00:00:00 GMT"}, 60),
    ],
)
def test_the_wait_is_read_in_each_form(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds or a date; nonsense asks for nothing."""
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("ahead", [-3600, 0, 3600, 86_400 * 400])
def test_a_date_is_read_by_the_providers_clock(ahead: int) -> None:
    """However wrong this machine's clock is, the wait is what lies between the response's own two dates."""
    now = int(time()) + ahead
    headers = {"date": formatdate(now, usegmt=True), "retry-after": formatdate(now + 90, usegmt=True)}
    assert retry_after(headers) == 90


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Jan 2024 00:00:00 GMT"])
def test_without_the_providers_date_a_wait_is_guessed_and_bounded(date: str | None) -> None:
    """This machine's clock is all there is then, and it may be an hour behind."""
    dated = {} if date is None else {"date": date}
    assert retry_after({**dated, "retry-after": formatdate(time() + 300, usegmt=True)}) == pytest.approx(300, abs=60)
    assert retry_after({**dated, "retry-after": formatdate(time() + 7200, usegmt=True)}) == 600


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "1e300"},
        {"retry-after-ms": "9e99"},
        {"date": "Mon, 01 Jan 2024 00:00:00 GMT", "retry-after": "Mon, 01 Jan 2420 00:00:00 -0000"},
    ],
)
def test_no_wait_is_longer_than_a_day(headers: dict[str, str]) -> None:
    """A figure without bounds would overflow the database's dates."""
    assert retry_after(headers) == 86_400


def test_the_key_sentence_says_what_to_do() -> None:
    """An operator reads which variable to look at."""
    assert from_status(401, None, {}).detail == "The provider refused the key (401): check ANTHROPIC_API_KEY."


@pytest.mark.parametrize("kind", ["secret text of the document", "UPPER", "", None, 7])
def test_only_fixed_words_of_the_provider_reach_a_sentence(kind: object) -> None:
    """An error type that is no plain identifier could be anything, and is left out."""
    detail = from_error_event({"type": kind, "message": "secret"}).detail
    assert "secret" not in detail
    assert "UPPER" not in detail
