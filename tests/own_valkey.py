"""A Valkey that a test may stop, freeze and thaw."""

import signal
import subprocess
from pathlib import Path

from stack.home import open_home
from stack.valkey import answers, valkey_part
from tests.house import eventually


class OwnValkey:
    """A server of this test's own, which it may stop."""

    def __init__(self, home: Path) -> None:
        self._part = valkey_part(open_home(home))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._part.url

    def start(self) -> None:
        """Start it, empty."""
        self._part.before()
        self._process = subprocess.Popen(self._part.command, stdout=subprocess.DEVNULL)
        eventually(lambda: answers(self.url or ""), "Valkey answers")

    def send(self, how: signal.Signals) -> None:
        """Stop it, freeze it, thaw it."""
        assert self._process is not None
        self._process.send_signal(how)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
