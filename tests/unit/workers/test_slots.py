"""The slots of a worker process."""

import threading

import pytest

from workers.slots import Slots


def test_work_runs_and_returns() -> None:
    """A future brings the result back, or the exception."""
    slots = Slots(2)
    assert slots.submit(lambda: 7).result() == 7
    with pytest.raises(ZeroDivisionError):
        slots.submit(lambda: 1 // 0).result()


def test_no_more_than_its_slots_run_at_a_time() -> None:
    """With three slots three of five run, and the others follow as slots come free."""
    slots, gate, started = Slots(3), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        started.release()
        gate.wait()

    futures = [slots.submit(work) for _ in range(5)]
    for _ in range(3):
        assert started.acquire(timeout=10)
    assert slots.busy == 3
    assert [future.running() for future in futures] == [True, True, True, False, False]
    gate.set()
    for future in futures:
        future.result(timeout=10)


def test_after_stop_nothing_begins() -> None:
    """What waits for a slot is cancelled, what runs goes on, and new work is refused."""
    slots, gate, started = Slots(1), threading.Event(), threading.Event()

    def work() -> str:
        started.set()
        gate.wait()
        return "done"

    running = slots.submit(work)
    assert started.wait(timeout=10)
    waiting = slots.submit(lambda: "never")
    slots.stop()
    assert waiting.cancelled()
    assert slots.submit(lambda: "never").cancelled()
    gate.set()
    assert running.result(timeout=10) == "done"


def test_threads_do_not_keep_the_process_alive() -> None:
    """A stopping worker need not wait for a hanging call."""
    slots, started = Slots(1), threading.Event()

    def hang() -> None:
        started.set()
        threading.Event().wait()

    slots.submit(hang)
    assert started.wait(timeout=10)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("slot-"))
