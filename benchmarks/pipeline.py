"""The full pipeline beside a naive Celery job and plain threads: ``python -m benchmarks.pipeline``; see README.md."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import ground as grounds
from benchmarks import owners, report
from benchmarks.crew import NotStarted
from benchmarks.figures import Run, spread
from benchmarks.ground import ASSAY_DATABASE, SIMPLE_DATABASE, Ground
from benchmarks.look import looking
from benchmarks.profiler import NoProfile, Profiler
from benchmarks.rounds import measure
from benchmarks.systems import Assay, Naive, Stuck, System, Threads
from benchmarks.wire import CountingProxy
from stack.errors import StackError
from stack.model import CHECKOUT

SYSTEMS: tuple[System, ...] = (Assay(), Naive(), Threads())
COUNTED_JOBS = 400
"""Round trips per job do not depend on the number of jobs, and a proxy in the way makes everything slower."""


def main() -> int:
    """Measure and print. The exit status says whether it could be measured, never what came out."""
    arguments = _arguments()
    console = Console()
    report.warn_of_load(console)
    try:
        with grounds.prepared() as ground:
            report.show_machine(console, jobs=arguments.jobs, rounds=arguments.rounds, **_versions(ground))
            _measure(console, ground, arguments)
    except (NotStarted, StackError, Stuck) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _measure(console: Console, ground: Ground, arguments: argparse.Namespace) -> None:
    with _progress(console) as progress:
        runs = _timed_rounds(ground, arguments.rounds, arguments.jobs, progress)
        trips = _counted_rounds(ground, min(COUNTED_JOBS, arguments.jobs), progress)
        profile = _profiled_round(ground, arguments.jobs, progress) if arguments.profile else None
    report.show_systems(console, runs, trips)
    report.show_goals(console, runs)
    if isinstance(profile, str):
        console.print(f"[yellow]No profile: {profile}[/yellow]")
    elif profile is not None:
        user_ms = spread([run.worker_user_ms for run in runs["assay"]]).median
        report.show_profile(console, profile, user_ms, CHECKOUT)


def _timed_rounds(ground: Ground, rounds: int, jobs: int, progress: Progress) -> dict[str, list[Run]]:
    """A B C A B C ...: what else the machine does in the meantime hits all of them."""
    runs: dict[str, list[Run]] = {system.name: [] for system in SYSTEMS}
    for number in range(1, rounds + 1):
        for system in SYSTEMS:
            with _Bar(progress, f"round {number} of {rounds}: {system.name}", jobs) as tell:
                runs[system.name].append(measure(ground, system, jobs, tell))
    return runs


def _counted_rounds(ground: Ground, jobs: int, progress: Progress) -> dict[str, float]:
    """Round trips per job, seen by a proxy between clients and database; nothing is timed here."""
    trips: dict[str, float] = {}
    with ExitStack() as open_proxies:
        proxies = {name: open_proxies.enter_context(_proxy(ground)) for name in (ASSAY_DATABASE, SIMPLE_DATABASE)}
        behind = ground.through({name: proxy.port for name, proxy in proxies.items()})
        for system in SYSTEMS:
            counter = _Trips(proxies[system.database])
            with _Bar(progress, f"counting round trips: {system.name}", jobs) as tell:
                measure(behind, system, jobs, tell, beside=counter.beside)
            trips[system.name] = counter.count / jobs
    return trips


def _profiled_round(ground: Ground, jobs: int, progress: Progress) -> list[owners.Sample] | str:
    """A round that nobody times: py-spy stops a process to look into it."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-profile-") as folder:
        profiler = Profiler(Path(folder))
        try:
            with _Bar(progress, "profile: assay", jobs) as tell:
                measure(ground, Assay(), jobs, tell, beside=profiler.beside)
        except NoProfile as reason:
            return str(reason)
        return owners.parse(profiler.lines())


class _Trips:
    """The round trips through a proxy while a block runs."""

    def __init__(self, proxy: CountingProxy) -> None:
        self._proxy = proxy
        self.count = 0

    def beside(self, _pids: object) -> "_Trips":
        """For :func:`measure`."""
        return self

    def __enter__(self) -> None:
        self._before = self._proxy.trips

    def __exit__(self, *_: object) -> None:
        self.count = self._proxy.trips - self._before


class _Bar:
    """One line of progress."""

    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self._progress = progress
        self._title = title
        self._total = total

    def __enter__(self) -> Callable[[int], object]:
        self._task = self._progress.add_task(self._title, total=self._total)
        return lambda done: self._progress.update(self._task, completed=done)

    def __exit__(self, *_: object) -> None:
        self._progress.stop_task(self._task)
        if not self._progress.console.is_terminal:
            self._progress.console.print(self._title)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _proxy(ground: Ground) -> CountingProxy:
    address = urlsplit(ground.admin_url)
    assert address.hostname is not None
    assert address.port is not None
    return CountingProxy(address.hostname, address.port)


def _versions(ground: Ground) -> Mapping[str, str]:
    with looking(ground.admin_url) as look:
        postgres = str(look.rows("SHOW server_version")[0][0])
    with redis.Redis.from_url(ground.settings.redis_url or "") as client:
        about = client.info("server")
    return {"postgres": postgres, "valkey": str(about.get("valkey_version") or about.get("redis_version"))}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--jobs", type=_positive, default=2000, help="jobs per system and round")
    parser.add_argument("--rounds", type=_positive, default=3, help="rounds of each system, in turn")
    parser.add_argument("--no-profile", dest="profile", action="store_false", help="leave the profile out")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give a whole number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
