"""What goes through the broker can be read with the key alone, and only where it belongs."""

import pytest

from partials.entry import Place
from partials.sealing import Seal, Unreadable
from schemas.ids import new_id

PLACE = bytes(Place(1, 2, 30))


def test_what_is_sealed_opens() -> None:
    """Any text comes back as it was, half a surrogate pair too."""
    seal = Seal("a key", new_id())
    for text in ("", "plain", "Grüße 🙂", "\ud83d", "\x00"):
        assert seal.open(seal.seal(text, PLACE), PLACE) == text


def test_the_sealed_text_tells_nothing() -> None:
    """The text does not stand in it, and the same text is never sealed alike."""
    seal = Seal("a key", new_id())
    first, second = seal.seal("the patient's name", PLACE), seal.seal("the patient's name", PLACE)
    assert b"patient" not in first
    assert first[:12] != second[:12]
    assert first[12:] != second[12:]


def test_another_key_job_or_place_does_not_open_it() -> None:
    """An entry cannot be read with another installation's key, nor passed off as another job's, attempt's or place's."""
    job_id = new_id()
    seal = Seal("a key", job_id)
    sealed = seal.seal("text", PLACE)
    for other in (Seal("another key", job_id), Seal("a key", new_id())):
        with pytest.raises(Unreadable):
            other.open(sealed, PLACE)
    for place in (Place(2, 2, 30), Place(1, 3, 30), Place(1, 2, 0)):
        with pytest.raises(Unreadable):
            seal.open(sealed, bytes(place))


@pytest.mark.parametrize("broken", [b"", b"short", bytes(40)])
def test_what_is_broken_does_not_open(broken: bytes) -> None:
    """Whatever stands there instead of an entry is refused as unreadable."""
    with pytest.raises(Unreadable):
        Seal("a key", new_id()).open(broken, PLACE)


def test_a_place_can_be_written_and_read() -> None:
    """A place survives its way through a stream; anything else is refused."""
    assert Place.parse(PLACE) == Place(1, 2, 30)
    for wrong in (b"", b"1:2", b"1:2:x", b"1:2:3:4"):
        with pytest.raises(ValueError, match=r"."):
            Place.parse(wrong)
