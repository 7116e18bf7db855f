"""py-spy beside the worker processes: which Python stacks were at work."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

RATE = 200
"""Samples per second and process."""
ATTACH_SECONDS = 20.0


class NoProfile(RuntimeError):
    """py-spy cannot look into the processes; the message says why."""


class Profiler:
    """Records the stacks that hold the GIL while a block runs.

    Without ``--gil`` py-spy took fifty threads waiting for work for running ones here. What the kernel does for a
    process is mostly done without the GIL and is not seen; the report shows that time beside the profile.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))

    @contextmanager
    def beside(self, pids: Sequence[int]) -> Iterator[None]:
        """Record these processes while the block runs.

        Raises:
            NoProfile: the system does not allow it, or py-spy is not installed.
        """
        recorders = [self._start(pid) for pid in pids]
        try:
            for pid, recorder in zip(pids, recorders, strict=True):
                self._wait_attached(pid, recorder)
            yield
        finally:
            for recorder in recorders:
                with contextlib.suppress(ProcessLookupError):
                    recorder.send_signal(signal.SIGINT)  # it then writes what it has
            for recorder in recorders:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    recorder.wait(30)
                recorder.kill()

    def lines(self) -> list[str]:
        """What was recorded, in py-spy's raw format."""
        return [line for file in sorted(self._folder.glob("*.raw")) for line in file.read_text().splitlines()]

    def _start(self, pid: int) -> "subprocess.Popen[bytes]":
        options = ["--gil", "--format", "raw", "--full-filenames", "--rate", str(RATE), "--duration", "unlimited"]
        with (self._folder / f"{pid}.log").open("wb") as log:
            try:
                return subprocess.Popen(
                    [
                        self._program,
                        "record",
                        *options,
                        "--output",
                        str(self._folder / f"{pid}.raw"),
                        "--pid",
                        str(pid),
                    ],
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                )
            except OSError as error:
                raise NoProfile(f"py-spy is not there ({error}); run `make install-dev`") from None

    def _wait_attached(self, pid: int, recorder: "subprocess.Popen[bytes]") -> None:
        log = self._folder / f"{pid}.log"
        until = time.monotonic() + ATTACH_SECONDS
        while b"Sampling" not in log.read_bytes():
            if recorder.poll() is not None or time.monotonic() > until:
                words = log.read_text(errors="replace").strip().splitlines()
                raise NoProfile(f"py-spy: {words[-1] if words else 'it said nothing'} (it may need root)")
            time.sleep(0.05)
