"""``python -m benchmarks.engine [fairness|limit|backlog|endurance|all]``: what the engine promises under load, measured.

The exit status says whether it could be measured, never what came out.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.crew import NotStarted
from benchmarks.engine import backlog, endurance, fairness, limit, report
from benchmarks.engine.ground import Ground, prepared
from benchmarks.engine.report import Summary
from benchmarks.engine.work import Stuck, Tell
from stack.errors import StackError
from stack.model import CHECKOUT

try:
    from benchmarks.engine import plots
except ModuleNotFoundError as missing:
    sys.exit(f"bench: {missing.name} is not installed; run `make bench-engine`, or install the extra `plots`.")

IMAGES = CHECKOUT / "docs" / "images"


def main() -> int:
    """Measure, print, draw."""
    arguments = _arguments()
    console = Console()
    report.warn_of_load(console)
    chosen = list(_MEASUREMENTS) if arguments.what == "all" else [arguments.what]
    summaries: list[Summary] = []
    machine = ""
    try:
        for what in chosen:
            # Each on ground of its own: what one leaves behind must not be another's.
            with prepared() as ground:
                machine = report.machine(ground)
                console.print(machine, soft_wrap=True)
                found = _MEASUREMENTS[what](ground, arguments, _teller(console, what))
                for summary in found:
                    console.print(summary.table())
                summaries += found
                _write(arguments.table, machine, summaries)
    except (NotStarted, StackError, Stuck) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _fairness(ground: Ground, arguments: argparse.Namespace, tell: Tell) -> list[Summary]:
    found = fairness.measure(ground, fairness.QUICK if arguments.quick else fairness.FULL, tell)
    plots.fairness(found, arguments.images / "fairness.svg")
    return [report.fairness(found)]


def _limit(ground: Ground, arguments: argparse.Namespace, tell: Tell) -> list[Summary]:
    found = limit.measure(ground, limit.QUICK if arguments.quick else limit.FULL, tell)
    plots.limit(found, arguments.images / "limit.svg")
    return report.limit(found)


def _backlog(ground: Ground, arguments: argparse.Namespace, tell: Tell) -> list[Summary]:
    plans: list[str] = []
    explain: Callable[[str, str], None] | None = None
    if arguments.plans is not None:
        explain = lambda title, text: plans.append(f"===== {title}\n\n{text}\n")  # noqa: E731
    found = backlog.measure(ground, backlog.QUICK if arguments.quick else backlog.FULL, tell, explain)
    if arguments.plans is not None:
        arguments.plans.write_text("\n".join(plans))
    plots.backlog(found, arguments.images / "backlog.svg")
    return [report.backlog(found)]


def _endurance(ground: Ground, arguments: argparse.Namespace, tell: Tell) -> list[Summary]:
    found = endurance.measure(ground, endurance.QUICK if arguments.quick else endurance.FULL, tell)
    plots.endurance(found, arguments.images / "endurance.svg")
    return report.endurance(found)


_MEASUREMENTS: dict[str, Callable[[Ground, argparse.Namespace, Tell], list[Summary]]] = {
    "fairness": _fairness,
    "limit": _limit,
    "backlog": _backlog,
    "endurance": _endurance,
}


def _teller(console: Console, what: str) -> Tell:
    """Progress: one line for each thing worth knowing."""
    began = time.monotonic()
    return lambda said: console.print(
        f"[dim]{what} {time.monotonic() - began:5.0f} s[/dim] {said}", highlight=False, soft_wrap=True
    )


def _write(table: Path | None, machine: str, summaries: Sequence[Summary]) -> None:
    if table is not None:
        table.write_text("\n".join([*(summary.markdown() for summary in summaries), f"{machine}.\n"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=[*_MEASUREMENTS, "all"])
    parser.add_argument("--quick", action="store_true", help="less of everything, to see that it works")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the tables as Markdown, too")
    parser.add_argument("--plans", type=Path, metavar="FILE", help="write the plans of the backlog's statements")
    parser.add_argument("--images", type=Path, metavar="DIR", default=IMAGES, help="where the plots go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
