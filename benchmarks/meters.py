"""CPU and memory of processes, as the kernel counts them."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(one.user + one.system for one in times))


def system_seconds(pids: Iterable[int]) -> float:
    """The part of it that the kernel worked for these processes."""
    return float(sum(psutil.Process(pid).cpu_times().system for pid in pids))


def tree_cpu_seconds(pid: int) -> float:
    """The same of a server of single-threaded processes: it and its children, those that have ended included."""
    root = psutil.Process(pid)
    own = root.cpu_times()
    total = _precise_seconds(root) + own.children_user + own.children_system
    for child in root.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += _precise_seconds(child)
    return float(total)


def _precise_seconds(process: psutil.Process) -> float:
    """CPU time in nanoseconds where the kernel tells it. The usual figures are cut to hundredths of a second per
    process: of a hundred backends with three milliseconds each nothing would be left."""
    try:
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        times = process.cpu_times()
        return float(times.user + times.system)


def memory_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes: PSS, which shares common pages out; where the system has none, what is theirs alone."""
    infos = [psutil.Process(pid).memory_full_info() for pid in pids]
    return sum(getattr(info, "pss", None) or info.uss for info in infos)
