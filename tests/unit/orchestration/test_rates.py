"""What a response's headers say of the provider's limits."""

import pytest

from orchestration.rates import seen_rates
from schemas.admission import Limits, SeenRates


def headers(**said: str) -> dict[str, str]:
    """``requests_limit`` becomes ``anthropic-ratelimit-requests-limit``."""
    return {f"anthropic-ratelimit-{name.replace('_', '-')}": value for name, value in said.items()}


def test_all_that_is_said_is_read() -> None:
    """Limits per minute and what is left of them, in each of the three windows."""
    assert seen_rates(
        headers(
            requests_limit="50",
            requests_remaining="49",
            requests_reset="2026-01-01T00:00:00Z",
            input_tokens_limit="40000",
            input_tokens_remaining="0",
            output_tokens_limit="8000",
            output_tokens_remaining="7000",
            tokens_limit="48000",
            tokens_remaining="7000",
        )
    ) == SeenRates(
        limits=Limits(requests=50, input_tokens=40_000, output_tokens=8_000),
        requests_remaining=49,
        input_tokens_remaining=0,
        output_tokens_remaining=7_000,
    )


def test_the_tokens_window_stands_for_the_input_where_that_is_not_told() -> None:
    """Older answers and some gateways know only one window of tokens."""
    assert seen_rates(headers(tokens_limit="9", tokens_remaining="4")) == SeenRates(
        limits=Limits(input_tokens=9), input_tokens_remaining=4
    )


@pytest.mark.parametrize("text", ["", " ", "many", "-1", "1.5", "1e3", "nan", "+5", "1_000", "٣", "1" * 13, "0x10"])
def test_what_is_no_count_is_passed_over(text: str) -> None:
    """A header that cannot be read takes nothing away from those that can."""
    assert seen_rates(headers(requests_limit=text, requests_remaining=text)) is None
    assert seen_rates(headers(requests_limit=text, output_tokens_limit="7")) == SeenRates(
        limits=Limits(output_tokens=7)
    )


def test_a_limit_of_nothing_is_passed_over() -> None:
    """Kept, it would let no further call through that could bring a better one."""
    assert seen_rates(headers(requests_limit="0", requests_remaining="0")) == SeenRates(
        limits=Limits(), requests_remaining=0
    )


def test_nothing_said_is_nothing() -> None:
    """The embedded model and most gateways say nothing."""
    assert seen_rates({"content-type": "text/event-stream"}) is None
