"""The parts of the command line that decide something by themselves."""

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from cli.demo import DOCUMENTS
from cli.documents import lines_of
from cli.errors import FAILED, USAGE, Stop, explain
from cli.fields import read_fields
from cli.output import as_json, printable, shown
from cli.progress import BatchProgress, details, duration
from cli.submit import read_deadline
from jobs.costs import Spent, together
from jobs.show import Progress
from jobs.submit import MAX_LINE_BYTES, SubmitRefused
from tasks import catalogue, find_task

BATCH = UUID("019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071")
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def standing_of(landed: int, *, total: int = 10) -> Progress:
    """A batch of which so many jobs are answered by the model."""
    return Progress(
        batch_id=BATCH, task="classify", total=total, states={"answered": landed}, answered_by={"model": landed},
        input_tokens=100, output_tokens=20, attempts=landed, repairs=0, cost_usd=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30m", NOW + timedelta(minutes=30)),
        ("+2h", NOW + timedelta(hours=2)),
        ("1d", NOW + timedelta(days=1)),
        ("2026-12-01T18:00Z", NOW + timedelta(hours=6)),
        ("2026-12-01T18:00+02:00", NOW + timedelta(hours=4)),
    ],
)
def test_a_deadline_is_a_moment_or_a_span(text: str, moment: datetime) -> None:
    """ISO 8601 with its zone, or a span from now."""
    assert read_deadline(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "12", "5w", "2026-13-01"])
def test_another_deadline_is_refused(text: str) -> None:
    """Wrong usage, without a trace."""
    with pytest.raises(Stop) as refused:
        read_deadline(text, NOW)
    assert refused.value.code == USAGE


def test_control_characters_do_not_reach_the_terminal() -> None:
    """A document cannot move the cursor, set the title or ring; line breaks and other scripts stay."""
    assert printable("a\x1b[2Jb\x07\x9b31m\tc\nŁódź ✓") == "a\\x1b[2Jb\\x07\\x9b31m\tc\nŁódź ✓"


def test_json_holds_what_utf8_cannot() -> None:
    """Half a surrogate pair in an answer is escaped and does not end the command."""
    assert json.loads(as_json({"answer": "\ud800 é"})) == {"answer": "\ud800 é"}
    assert "é" in as_json({"answer": "é"})


def test_json_forms() -> None:
    """Ids, times and money are text, as everywhere in the contract."""
    assert as_json([BATCH, NOW, Decimal("0.10")]) == f'["{BATCH}", "{NOW.isoformat()}", "0.10"]'


def test_values_for_people() -> None:
    """Nothing is a dash, figures have separators."""
    assert [shown(value) for value in (None, True, 12345, NOW)] == ["-", "yes", "12,345", "2026-12-01 12:00:00+00:00"]


def test_an_endless_line_is_not_held_in_memory() -> None:
    """A line over the limit is cut where its refusal is certain, and the next line is still the next line."""
    stream = io.BytesIO(b"x" * (MAX_LINE_BYTES * 2) + b"\nsecond\nlast")
    first, second, last = lines_of(stream)
    assert (len(first), second, last) == (MAX_LINE_BYTES + 2, b"second\n", b"last")


def test_rate_and_time_left_count_from_the_first_look() -> None:
    """What had landed before is not this watch's speed; without progress nothing is promised."""
    watched = BatchProgress()
    first = watched.standing(standing_of(4), 100.0)
    assert (first.rate, first.seconds_left) == (None, None)
    later = watched.standing(standing_of(8), 102.0)
    assert (later.rate, later.seconds_left) == (2.0, 1.0)
    assert "model 8" in details(later)
    assert watched.standing(standing_of(10), 103.0).seconds_left == 0.0


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "7 s"), (61, "1 min 1 s"), (7300, "2 h 1 min")])
def test_durations_for_people(seconds: float, text: str) -> None:
    """The two largest units."""
    assert duration(seconds) == text


def test_any_field_can_be_given_as_json_or_text() -> None:
    """A task's fields need no option of their own."""
    fields = read_fields(find_task("summarize"), {}, ["max_words=80", "audience=an engineer"])
    assert fields == {"max_words": 80, "audience": "an engineer"}


def test_refusals_of_the_house_are_said_in_their_own_words() -> None:
    """Each of several reasons stands on a line."""
    assert explain(SubmitRefused(["line 7: wrong", "nothing was submitted"])) == (
        "line 7: wrong\n  nothing was submitted",
        USAGE,
    )


def test_an_unexpected_error_is_named_by_its_type_alone() -> None:
    """Its text could repeat a document."""
    sentence, code = explain(ZeroDivisionError("the secret text"))
    assert code == FAILED
    assert sentence == "unexpected ZeroDivisionError; run again with ASSAY_DEBUG=1 to see the trace"


def test_an_unknown_price_stays_unknown_in_the_sum() -> None:
    """Nothing known is not zero; something known is summed beside the count of what is not."""
    unknown = Spent("a", 2, 10, 5, None, 2, 0, 0)
    known = Spent("b", 1, 7, 3, Decimal("0.5"), 0, 1, 0)
    assert together([unknown]).usd is None
    assert together([unknown, known]) == Spent("total", 3, 17, 8, Decimal("0.5"), 2, 1, 0)


def test_the_demo_has_thirty_real_documents_that_fit_their_contracts() -> None:
    """Every line of the demo is accepted by its task, and its source is named."""
    named = (DOCUMENTS / "README.md").read_text(encoding="utf-8")
    count = 0
    for name, task in catalogue().items():
        for line in (DOCUMENTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            document = json.loads(line)
            assert f"`{document.pop('id').split('-')[0]}-" in named
            task.read_request(document)
            count += 1
    assert count >= 30
