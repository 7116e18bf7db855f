"""The entry of the `assay` command."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import typer

from cli import accounts, audit, costs, prompts, review, show, stack, submit, tenants, watch, webhooks
from cli.errors import INTERRUPTED, USAGE, Stop, end_with, say

EXIT_CODES = (
    "Exit codes: 0 done; 1 the work failed, or could not be done now; 2 wrong usage, which includes an input that"
    " breaks its contract and an id that does not exist; 130 stopped by Ctrl-C."
)
_COMMANDS: list[tuple[str, list[Callable[..., None]]]] = [
    ("Start", [stack.demo, stack.up, stack.doctor, stack.migrate]),
    ("Work", [submit.submit, watch.watch, show.show, show.results, show.cancel, show.retry]),
    ("Look", [costs.costs]),
]
_GROUPS: list[tuple[str, str, typer.Typer]] = [
    ("review", "Work", review.review_app),
    ("audit", "Look", audit.audit_app),
    ("prompts", "Look", prompts.prompts_app),
    ("tenants", "Operate", tenants.tenants_app),
    ("keys", "Operate", tenants.keys_app),
    ("webhooks", "Operate", webhooks.webhooks_app),
    ("accounts", "Operate", accounts.accounts_app),
]


def build() -> typer.Typer:
    """The command line with all its commands."""
    app = typer.Typer(
        name="assay",
        help="AI jobs that always land: submit documents, follow them, decide what is left to people, audit everything.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    for panel, commands in _COMMANDS:
        for command in commands:
            app.command(command.__name__, rich_help_panel=panel)(command)
    for name, panel, group in _GROUPS:
        app.add_typer(group, name=name, rich_help_panel=panel)
    return app


def main() -> None:
    """Run the command that the arguments name; ends the process with its exit code."""
    # Without a handler Python prints warnings of libraries and of the house on standard error, beside our sentence.
    logging.getLogger().addHandler(logging.NullHandler())
    code: Any = 0
    try:
        code = build()(prog_name="assay", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        say("stopped.")
        sys.exit(INTERRUPTED)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except Exception as error:
        end_with(_as_usage(error))
    sys.exit(code if isinstance(code, int) else 0)


def _as_usage(error: Exception) -> Exception:
    """What typer says of wrong arguments, as one sentence."""
    if not isinstance(error, typer.BadParameter.__mro__[1]):
        return error
    message = " ".join(error.format_message().replace("Value error, ", "").split())  # type: ignore[attr-defined]
    if not message:  # help was printed instead
        sys.exit(USAGE)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "assay"
    return Stop(f"{message} (see `{path} --help`)", USAGE)
