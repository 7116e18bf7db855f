"""CPU and memory of processes, as the kernel counts them."""

from collections.abc import Iterable

import psutil


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(one.user + one.system for one in times))


def system_seconds(pids: Iterable[int]) -> float:
    """The part of it that the kernel worked for these processes."""
    return float(sum(psutil.Process(pid).cpu_times().system for pid in pids))


def tree_cpu_seconds(pid: int) -> float:
    """The same of a server with everything below it, children that have ended included."""
    root = psutil.Process(pid)
    own = root.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in root.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return float(total)


def memory_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes: PSS, which shares common pages out; where the system has none, what is theirs alone."""
    infos = [psutil.Process(pid).memory_full_info() for pid in pids]
    return sum(getattr(info, "pss", None) or info.uss for info in infos)
