"""ASSAY_HOME."""

import os
import stat
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.home import LOG_BYTES, HomeLock, need_space, open_home, open_log, secret
from stack.state import Connections, StackState, read_state


def test_directories_are_closed_to_others(tmp_path: Path) -> None:
    """Nobody else can list or read anything in the home."""
    home = open_home(tmp_path / "home")
    assert stat.S_IMODE(home.root.stat().st_mode) & 0o066 == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.root.iterdir()} == {0o700}


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    """A password is made at its first use, stays the same, and only its owner reads it."""
    home = open_home(tmp_path)
    first = secret(home, "p")
    assert first == secret(home, "p")
    assert len(first) >= 32
    assert stat.S_IMODE((home.secrets / "p").stat().st_mode) == 0o600


def test_an_unwritable_home_is_one_sentence(tmp_path: Path) -> None:
    """A home that cannot be made is refused with a sentence that names it and what to set."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match=r"Cannot write to .*file/home \(not a directory\); set ASSAY_HOME"):
        open_home(tmp_path / "file" / "home")


def test_a_full_disk_is_one_sentence() -> None:
    """Writing to a full device is refused in plain words."""
    with pytest.raises(StackError, match=r"Only \d+ MB are free .* needed; free some"):
        need_space(Path("/"), 10**12)


def test_the_second_lock_names_the_first(tmp_path: Path) -> None:
    """A home is used by one stack at a time; the refusal names the pid."""
    home = open_home(tmp_path)
    first = HomeLock(home)
    first.acquire()
    with pytest.raises(StackError, match=f"already runs in .* \\(pid {os.getpid()}\\)"):
        HomeLock(home).acquire()
    first.release()
    second = HomeLock(home)
    second.acquire()
    second.release()


def test_a_left_state_file_does_not_count(tmp_path: Path) -> None:
    """A state file whose stack no longer holds the lock is not a running stack."""
    home = open_home(tmp_path)
    state = StackState(pid=1, ready=True, parts=[], connections=Connections())
    home.state_file.write_text(state.model_dump_json())
    assert read_state(tmp_path) is None
    lock = HomeLock(home)
    lock.acquire()
    assert read_state(tmp_path) == state
    lock.release()


def test_an_overlong_log_is_put_aside(tmp_path: Path) -> None:
    """A log over the limit becomes the .1 file when its part starts."""
    home = open_home(tmp_path)
    with home.log("x").open("wb") as log:
        log.truncate(LOG_BYTES + 1)
    os.close(open_log(home, "x"))
    assert home.log("x").stat().st_size == 0
    assert (home.logs / "x.log.1").stat().st_size == LOG_BYTES + 1
