"""Evidence: where quotes stand in a source, cut so that nothing of the source is lost."""

from hypothesis import given
from hypothesis import strategies as st

from tests.desk_world import INVOICE, INVOICE_MODEL, INVOICE_RULES
from web.desk.comparing import lines
from web.desk.evidence import Quote, is_tabular, mark, quotes_of

TEXTS = st.text(alphabet="ab \n1é\u0301<", max_size=40)


@given(TEXTS, st.lists(TEXTS, max_size=6))
def test_the_pieces_are_the_source(source: str, quotes: list[str]) -> None:
    """Put together again the pieces are the source to the letter, however quotes overlap; every quote is marked or missing."""
    found = mark(source, [Quote(str(at), text, "model") for at, text in enumerate(quotes)])
    assert "".join(piece.text for piece in found.pieces) == source
    marked = {quote for piece in found.pieces for quote in piece.quotes}
    assert len(marked) + len(found.missing) == len(quotes)


def test_overlapping_quotes_say_whose_they_are() -> None:
    """What both quote is theirs together; each piece names fields and sides."""
    found = mark("one two three", [Quote("a", "one two", "model"), Quote("b", "two three", "rules")])
    assert [(piece.text, piece.by, piece.names) for piece in found.pieces if piece.quotes] == [
        ("one ", "model", "a (model)"),
        ("two", "both", "a (model), b (rules)"),
        (" three", "rules", "b (rules)"),
    ]


def test_a_quote_that_is_not_there_is_said() -> None:
    """The model's wrong quote of the invoice is missing, all others are found."""
    found = mark(INVOICE, [*quotes_of(INVOICE_MODEL, "model"), *quotes_of(INVOICE_RULES, "rules")])
    assert [(quote.path, quote.text) for quote in found.missing] == [("fields.total", "Total EUR 545.54")]


def test_quotes_are_found_in_answers_of_any_shape() -> None:
    """Quotes and evidence of any depth; what is no text is no quote."""
    answer = {"evidence": "e", "points": [{"quote": "q"}, {"quote": 7}, "x"], "quote": None}
    assert [(one.path, one.text) for one in quotes_of(answer, "model")] == [("evidence", "e"), ("points.0", "q")]


def test_columns_of_spaces_are_noticed() -> None:
    """An invoice with columns is set in letters of one width; a letter is not."""
    assert is_tabular(INVOICE)
    assert not is_tabular("Dear Ann,\n\n    the first line is indented.\nBest,\nBob")


def test_suggestions_stand_side_by_side() -> None:
    """One line per leaf of either answer, with the differing ones marked and a blank where one says nothing."""
    found = {
        line.path: line for line in lines([INVOICE_MODEL, INVOICE_RULES], ["fields.total.value", "fields.lines.1"])
    }
    total = found["fields.total"]
    assert [cell.value for cell in total.cells if cell] == [554.54, 466]
    assert total.differs
    assert not found["fields.currency"].differs
    assert found["fields.lines.1.amount"].cells[1] is None
    assert found["fields.lines.1.amount"].differs
    assert not {"outcome", "not_found"} & found.keys()
