"""CPU of a tree of processes."""

import subprocess
import sys

import psutil

from benchmarks.meters import tree_cpu_seconds

_BURN = "import time\nwhile time.process_time() < {}: pass\n"


def test_children_count_while_they_live_and_after_they_ended() -> None:
    """What a child has worked stays in its server's figure when the child is gone."""
    script = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {_BURN.format(0.3)!r}])\n"
        f"child = subprocess.Popen([sys.executable, '-c', {(_BURN.format(0.2) + 'print(flush=True); input()')!r}],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print('ready', flush=True); input(); child.communicate(b'\\n')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        assert len(psutil.Process(server.pid).children()) == 1
        assert tree_cpu_seconds(server.pid) >= 0.49
        server.communicate(b"\n")
