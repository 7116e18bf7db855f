"""`assay up`, `doctor`, `migrate` and `demo`: the stack itself."""

import os
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from cli.connect import check_same_assay, read_settings
from cli.demo import TASK_SECONDS, run_demo
from cli.errors import FAILED, say, wrong_usage
from cli.options import AsJson
from cli.output import print_fields, print_json, print_line, print_table

if TYPE_CHECKING:
    from stack.state import StackState


def up(as_json: AsJson = False) -> None:
    """Run the whole stack in the foreground: database, broker, model, workers, beat, web, Flower. Ctrl-C stops it."""
    settings = read_settings()
    from stack.up import run_stack

    def announce(state: "StackState") -> None:
        if as_json:
            print_json({"ready": state.ready, "home": settings.home, "parts": _addresses(state)}, indent=None)
            return
        print_line()
        print_fields((str(part["name"]), part["url"] or part["state"]) for part in _addresses(state))
        print_line(f"\nAssay runs in {settings.home}. In another terminal:")
        print_line("  assay submit classify ticket.txt --label billing --label shipping --wait")
        print_line("  assay doctor")
        print_line("  assay accounts create YOU --role reviewer   to sign in at the web's address")
        print_line(f"Flower: sign in as operator with the password in {settings.home / 'secrets' / 'flower'}.")
        print_line("Ctrl-C stops it; its data stay.")

    run_stack(settings, on_ready=announce, echo=say if as_json else print_line)


def doctor(as_json: AsJson = False) -> None:
    """Look at each part and at how work goes on; say what is wrong and what to do. Exit code 1 when something is."""
    settings = read_settings()
    check_same_assay(settings)
    from schemas.health import Verdict
    from stack.doctor import examine, progress

    reports = examine(settings)
    health = progress(settings)
    # Beat, web and Flower may run elsewhere; without the others no job runs.
    well = all(
        report.state == "ok" or (report.state == "off" and report.name in {"beat", "web", "flower"})
        for report in reports
    )
    well = well and (health is None or health.verdict is not Verdict.STUCK)
    if as_json:
        print_json({"ok": well, "home": settings.home, "parts": reports, "progress": health})
    else:
        rows = [
            (report.name, report.state, report.url, f"{report.detail} {report.advice}".strip()) for report in reports
        ]
        print_table("", ["part", "state", "url", "what was found"], rows)
        if health is not None:
            from cli.health import print_health

            print_health(health)
    if not well:
        raise typer.Exit(FAILED)


def migrate(
    admin_url: Annotated[
        str | None,
        typer.Option(
            "--admin-url", metavar="URL", help="A login that may make roles and tables; else DATABASE_ADMIN_URL."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the tables and roles of your own PostgreSQL, or bring them up to date. Safe to run again.

    The application role's password can be chosen with ASSAY_APP_PASSWORD.
    """
    settings = read_settings()
    url = admin_url or settings.database_admin_url or settings.database_url
    if url is None:
        raise wrong_usage("No database is named: give --admin-url, or set DATABASE_ADMIN_URL.")
    from storage.migrate import migrate as bring_up_to_date

    chosen = os.environ.get("ASSAY_APP_PASSWORD") or None
    database_url = bring_up_to_date(url, app_password=chosen, echo=say if as_json else print_line)
    if chosen is not None and database_url is not None:
        # Whoever chose the password knows it; in a container this output ends up in a log.
        database_url = database_url.replace(quote(chosen, safe=""), "ASSAY_APP_PASSWORD", 1)
    if as_json:
        print_json({"database_url": database_url})
    elif database_url is None:
        print_line(
            "The tables are up to date; the role assay_app keeps its password: start with the DATABASE_URL you have."
        )
    else:
        print_line("The tables are up to date. Start everything with")
        print_line(f"DATABASE_URL={database_url}")


def demo(
    seconds: Annotated[
        int,
        typer.Option(
            "--seconds", metavar="N", min=1, max=3600,
            help="How long the local model has for each of the three tasks; then the rules answer.",
        ),
    ] = TASK_SECONDS,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Start everything, run real documents through it on a small local model, and show what happened.

    In ASSAY_HOME if that is set; else in a folder that is removed afterwards.
    """
    run_demo(read_settings(), as_json=as_json, task_seconds=seconds)


def _addresses(state: "StackState") -> list[dict[str, str | None]]:
    from stack.doctor import masked

    return [{"name": part.name, "state": part.state, "url": masked(part.url)} for part in state.parts]
