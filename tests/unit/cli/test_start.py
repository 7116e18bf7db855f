"""The command starts quickly: what it does not need it does not import."""

import subprocess
import sys

import pytest

from tasks import catalogue

HEAVY = ("alembic", "anthropic", "celery", "fastapi", "kombu", "psycopg", "pydantic", "sqlalchemy", "tasks")


def imported_by(code: str) -> set[str]:
    """The top-level modules in a fresh interpreter after this code."""
    report = "\nimport sys; print('\\n'.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_command_line_imports_nothing_heavy() -> None:
    """All commands and their help are there without the database, Celery or the contracts."""
    assert not imported_by("from cli.main import build; build()") & set(HEAVY)


def test_submitting_does_not_import_the_model_sdk() -> None:
    """Everything that `assay submit` connects and publishes with leaves the SDK alone."""
    code = "import cli.main, workers.wiring, workers.celery, workers.publisher, jobs.submit, jobs.dispatch, jobs.show"
    assert "anthropic" not in imported_by(code)


def test_help_names_every_command_of_the_promise() -> None:
    """`assay --help` shows the commands and explains the exit codes."""
    done = subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for command in (
        "demo", "up", "doctor", "migrate", "submit", "show", "watch", "results", "cancel", "retry", "review", "audit",
        "costs", "prompts", "tenants", "keys",
    ):  # fmt: skip
        assert f" {command} " in done.stdout
    assert "Exit codes: 0 done; 1 the work failed" in done.stdout


def test_the_tasks_in_help_are_those_of_the_catalogue() -> None:
    """They are found without being imported, and are the same."""
    from cli.submit import task_names

    assert task_names() == sorted(catalogue())


def test_the_choices_of_options_are_those_of_the_contract() -> None:
    """The command line repeats them for its help; they must not drift apart."""
    from cli import submit
    from schemas import job

    for offered, contract in (
        (submit.Fallback, job.FallbackPolicy), (submit.Priority, job.Priority), (submit.OnOutage, job.OnOutage),
    ):  # fmt: skip
        assert [choice.value for choice in offered] == [choice.value for choice in contract]


@pytest.mark.parametrize("arguments", [[], ["review"], ["keys"]])
def test_without_a_command_help_is_shown(arguments: list[str]) -> None:
    """Exit code 2, and no empty sentence besides."""
    done = subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Usage: assay" in done.stdout + done.stderr
    assert "assay:  " not in done.stderr
