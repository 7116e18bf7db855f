"""Options of a job as the API takes them."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from schemas.job import JobOptions
from web.api.options import Options


def test_nothing_chosen_is_what_every_job_has() -> None:
    """The API's defaults are the contract's."""
    assert Options().chosen() == JobOptions()
    assert set(Options.model_fields) == set(JobOptions.model_fields)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("PT30M", timedelta(minutes=30)),
        ("P1DT2H", timedelta(days=1, hours=2)),
        ("P2W", timedelta(weeks=2)),
        ("PT0S", timedelta()),
        ("2027-01-01T18:00:00Z", datetime(2027, 1, 1, 18, tzinfo=UTC)),
        ("2027-01-01T18:00+02:00", datetime(2027, 1, 1, 16, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_deadline_is_a_moment_or_a_span(given: str | None, meant: object) -> None:
    """As ISO 8601 writes them; a moment names its zone."""
    assert Options(deadline=given).deadline == meant


@pytest.mark.parametrize(
    "given",
    [
        "", "P", "PT", "P1Y", "-PT5M", "3600", 3600, "tomorrow", "2027-01-01", "2027-01-01T18:00:00", "P9999D", "1999-01-01T00:00Z",
        "2027-13-01T00:00Z", "2300-01-01T00:00Z", "30m", {}, "PT30M\n",
    ],
)  # fmt: skip
def test_anything_else_is_none(given: object) -> None:
    """A number could be seconds or a year; without a zone a moment is another one elsewhere."""
    with pytest.raises(ValidationError):
        Options.model_validate({"deadline": given})
