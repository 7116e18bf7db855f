"""The chaos suite: ``python -m tests.chaos``. Prints one table; exit 1 if anything was lost, done twice or left behind."""

import argparse
import random
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tests.chaos import report
from tests.chaos.faults import Fault, all_faults
from tests.chaos.run import Ground, Result, Scenario, alone, ground, mixes
from tests.chaos.stage import SHORT, Periods

WORKERS = 3
FEWEST_JOBS = 20
BATCH_SECONDS = 8.0
"""How long the jobs of a scenario take without a fault."""


def main() -> int:
    """Run what was asked for."""
    options = _options()
    console = Console() if sys.stdout.isatty() else Console(width=140)
    faults = all_faults()
    if options.list:
        console.print("\n".join(faults), markup=False)
        return 0
    scenarios = _scenarios(options, faults)
    if not scenarios:
        console.print(f"no fault is called {', '.join(options.only)}; see --list")
        return 2
    console.print(
        f"seed {options.seed}: {len(scenarios)} scenarios of {scenarios[0].jobs} jobs, {WORKERS} worker processes"
    )
    root = Path(tempfile.mkdtemp(prefix="assay-chaos-"))
    root.chmod(0o711)
    periods = SHORT if options.short else Periods()
    with ground(root, workers=WORKERS, periods=periods, batch_seconds=BATCH_SECONDS) as place:
        results = [_shown(console, place, scenario) for scenario in scenarios]
        free = place.windows_are_free()
    report.show(console, results)
    if options.table:
        options.table.write_text(report.markdown(results))
    if not free:
        console.print("reservations of dead workers have not ended by themselves")
    failed = [result for result in results if result.problems]
    if failed or not free:
        console.print(f"[red]{len(failed)} scenarios failed[/]; logs are in {root}; again with: --seed {options.seed}")
        for result in failed:
            console.print(f"--only {result.scenario.name!r}: {'; '.join(result.problems)}", markup=False)
        return 1
    shutil.rmtree(root, ignore_errors=True)
    return 0


def _scenarios(options: argparse.Namespace, faults: dict[str, Fault]) -> list[Scenario]:
    """Each fault ``--runs`` times, and the mixes; of these, what ``--only`` names."""
    every = [alone(fault, options.seed + run) for run in range(options.runs) for fault in faults.values()]
    every += mixes(list(faults.values()), options.mixes, options.seed)
    chosen = [one for one in every if not options.only or {one.name, one.name.split(":")[0]} & set(options.only)]
    return [replace(one, jobs=max(FEWEST_JOBS, options.jobs // len(chosen))) for one in chosen]


def _shown(console: Console, place: Ground, scenario: Scenario) -> Result:
    with console.status(f"{escape(scenario.name)} ..."):
        result = place.run(scenario)
    mark = "[red]FAILED[/]" if result.problems else "[green]ok[/]"
    found = result.verdict
    known = f"{found.stood_in} by stand-ins, {found.unknown} calls unknown" if found else "not judged"
    console.print(
        f"{mark} {escape(scenario.name)}: {scenario.jobs} jobs, {known}, {result.seconds:.1f} s", highlight=False
    )
    for problem in result.problems:
        console.print(f"     {problem}", markup=False)
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="of all scenarios together")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="the same seed, the same faults"
    )
    parser.add_argument("--runs", type=int, default=1, help="of each fault")
    parser.add_argument("--mixes", type=int, default=8, help="random mixes of faults")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="these faults, as --list names them; mix = all mixes, provider = all storms",
    )
    parser.add_argument("--short", action="store_true", help="short outages")
    parser.add_argument("--table", type=Path, help="write the table here, as Markdown")
    parser.add_argument("--list", action="store_true", help="name the faults")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
