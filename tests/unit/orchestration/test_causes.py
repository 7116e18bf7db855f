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
    ],
)
def test_the_wait_is_read_in_each_form(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds or a date; nonsense asks for nothing."""
    assert retry_after(headers) == seconds


def test_a_date_is_read_as_the_time_until_then() -> None:
    """A date has whole seconds."""
    asked = retry_after({"retry-after": formatdate(time() + 3600, usegmt=True)})
    assert asked == pytest.approx(3600, abs=60)


def test_the_key_sentence_says_what_to_do() -> None:
    """An operator reads which variable to look at."""
    assert from_status(401, None, {}).detail == "The provider refused the key (401): check ANTHROPIC_API_KEY."


@pytest.mark.parametrize("kind", ["secret text of the document", "UPPER", "", None, 7])
def test_only_fixed_words_of_the_provider_reach_a_sentence(kind: object) -> None:
    """An error type that is no plain identifier could be anything, and is left out."""
    detail = from_error_event({"type": kind, "message": "secret"}).detail
    assert "secret" not in detail
    assert "UPPER" not in detail
