"""When a process is deaf, and when it only seems so."""

import pytest

from workers.deafness import Hearing

LOOK_SECONDS = 5.0


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class House:
    """A hearing that looks at its surroundings every five seconds and is sure after thirty."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hearing = Hearing(deaf_seconds=30, published_seconds=10, clock=self.clock)

    def looks(
        self, count: int, *, waiting: float | None = 5.0, busy: int = 2, heard: bool = False, connected: bool = True
    ) -> bool:
        """So many looks; whether the last one said deaf, and none before it."""
        found = []
        for _ in range(count):
            self.clock.now += LOOK_SECONDS
            if heard:
                self.hearing.heard()
            found.append(self.hearing.check(waiting, busy, 10, connected=connected))
        assert not any(found[:-1])
        return found[-1]


@pytest.fixture
def house() -> House:
    """After its first look, when it has heard something."""
    house = House()
    house.hearing.heard()
    assert not house.looks(1)
    return house


def test_jobs_wait_room_is_there_and_nothing_comes(house: House) -> None:
    """It is sure once the whole time has passed, not before, and stays so."""
    assert not house.looks(6)
    assert house.looks(1)
    assert house.looks(1)


@pytest.mark.parametrize(
    "otherwise",
    [{"heard": True}, {"busy": 10}, {"connected": False}],
    ids=["a message came", "no slot was free", "it was connecting again"],
)
def test_one_moment_of_another_kind_begins_the_time_anew(house: House, otherwise: dict[str, bool]) -> None:
    """All that time it has to be connected, with room, and without a message."""
    assert not house.looks(6)
    assert not house.looks(1, **otherwise)
    assert not house.looks(6)
    assert house.looks(1)


def test_an_idle_process_is_not_deaf(house: House) -> None:
    """Where nothing is published there is nothing to hear, for however long."""
    assert not house.looks(100, waiting=None)


def test_the_moment_between_two_rings_does_not_matter(house: House) -> None:
    """A message rung for again is not published for a moment; where nothing is published at two looks, all is done."""
    assert not house.looks(4)
    assert not house.looks(1, waiting=None)
    assert not house.looks(1)
    assert house.looks(1)
    assert not house.looks(1, waiting=None)
    assert not house.looks(1, waiting=None)
    assert not house.looks(6)
    assert house.looks(1)


def test_a_process_that_slept_begins_anew(house: House) -> None:
    """Stopped by a debugger, a SIGSTOP or a database that was away: it has not listened, so it cannot tell."""
    assert not house.looks(5)
    house.clock.now += 600
    assert not house.looks(6)
    assert house.looks(2)


def test_it_is_never_sure_before_a_lost_message_has_come_again() -> None:
    """A broker that forgot everything makes nobody deaf: a lost message is rung for again first, and that has its time too."""
    assert Hearing(deaf_seconds=30, published_seconds=20).sure_seconds == 40
    assert Hearing(deaf_seconds=60, published_seconds=20).sure_seconds == 60


def test_it_tells_when_it_last_heard() -> None:
    """In seconds; None before the first message."""
    house = House()
    assert house.hearing.received_seconds_ago is None
    house.hearing.heard()
    house.clock.now += 7
    assert house.hearing.received_seconds_ago == 7
