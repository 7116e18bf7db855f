"""What the documentation says is what there is."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from pydantic import AliasChoices

from cli.main import EXIT_CODES, build
from schemas.answer import AnsweredBy
from schemas.attempt import AttemptOutcome, Purpose
from schemas.job import FallbackPolicy, JobState
from schemas.settings import Settings
from storage.database import SYSTEM_ROLE
from storage.migrate import APP_ROLE

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]

_COMMAND: Final = re.compile(r"(?:\$ )?(?:[A-Z_]+=(?:\$\([^)]*\)|\S+) )*(?:\.venv/bin/)?assay (.+)")
"""A line of a shell: perhaps a prompt, assignments, a path, then the command."""

each_page = pytest.mark.parametrize("page", DOCS, ids=[str(page.relative_to(ROOT)) for page in DOCS])


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link and picture names a file that exists."""
    for target in re.findall(r"\]\(([^)#\s]+)", _text(page)):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@each_page
def test_commands_exist(page: Path) -> None:
    """Each ``assay ...`` that is shown is a command, and its options are options of that command."""
    commands = _commands(typer.main.get_command(build()), ())
    for line in _shown_commands(_text(page)):
        words = line.split()
        path = tuple(words[:2]) if tuple(words[:2]) in commands else tuple(words[:1])
        assert path in commands, f"assay {line}"
        for option in re.findall(r"(?<!\S)--[a-z-]+", line):
            assert option in commands[path] | {"--help"}, f"assay {line}"


@each_page
def test_make_targets_exist(page: Path) -> None:
    """Each ``make ...`` that is shown is a target."""
    targets = set(re.findall(r"^([a-z-]+):", _text(ROOT / "Makefile"), re.MULTILINE))
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", _text(page), re.MULTILINE):
        assert target in targets


def test_the_readme_lists_every_variable() -> None:
    """The table holds each environment variable of the settings, once, with its default, and no other."""
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", _text(ROOT / "README.md"), re.MULTILINE))
    assert set(rows) == set(_defaults())
    for variable, default in _defaults().items():
        if default is not None:
            assert rows[variable] == f"`{default}`", variable


def test_the_readme_states_the_exit_codes() -> None:
    """Its table says what ``assay --help`` says."""
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", _text(ROOT / "README.md"), re.MULTILINE)
    assert "; ".join(f"{code} {meaning}" for code, meaning in rows) in EXIT_CODES


def test_each_direct_dependency_has_its_reason() -> None:
    """docs/dependencies.md has one line for each dependency in pyproject.toml, and no other."""
    project = tomllib.loads(_text(ROOT / "pyproject.toml"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = sorted({re.split(r"[\[<>=~! ]", line)[0] for group in groups for line in group})
    assert sorted(re.findall(r"^- `([^`]+)`: \S", _text(ROOT / "docs" / "dependencies.md"), re.MULTILINE)) == declared


def test_the_glossary_knows_every_word_of_a_closed_set() -> None:
    """States, purposes, outcomes, policies and answerers stand in the glossary as the code spells them."""
    glossary = _text(ROOT / "docs" / "glossary.md")
    for words in (JobState, Purpose, AttemptOutcome, FallbackPolicy, AnsweredBy):
        for word in words:
            assert f"`{word.value}`" in glossary, word


def test_the_glossary_knows_every_kind_of_event() -> None:
    """Each kind that the code writes into ``events`` has its row."""
    source = "".join(_text(path) for folder in ("jobs", "storage") for path in (ROOT / folder).glob("*.py"))
    kinds = set(re.findall(r"SELECT id, tenant_id, '([a-z_]+)'", source))
    kinds |= set(re.findall(r"note_event\([^\"]*?\"([a-z_]+)\"", source))
    kinds |= set(re.findall(r"_note\([^\"]*?\"([a-z_]+)\"", source)) | set(re.findall(r"what = \"([a-z_]+)\"", source))
    pages = _text(ROOT / "web" / "operators" / "pages.py")
    kinds |= set(re.findall(r'^SEEN = "([a-z_]+)"', pages, re.MULTILINE))
    part = _text(ROOT / "docs" / "glossary.md").partition("`events.kind`")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", part, re.MULTILINE)) == kinds


def test_the_architecture_names_every_package() -> None:
    """The table of layers holds all packages, top first, as import-linter checks them."""
    contracts = tomllib.loads(_text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = [re.split(r" \| ", layer) for layer in contracts[0]["layers"]]
    table = _text(ROOT / "docs" / "architecture.md").partition("## Layers")[2].partition("\n## ")[0]
    rows = [re.findall(r"`([a-z]+)`", row) for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)]
    assert [sorted(row) for row in rows] == [sorted(layer) for layer in layers]


def test_the_architecture_names_every_table_and_role() -> None:
    """What the migrations create stands on the page."""
    page = _text(ROOT / "docs" / "architecture.md")
    migrations = "".join(_text(path) for path in (ROOT / "storage" / "migrations" / "versions").glob("*.sql"))
    tables = set(re.findall(r"^CREATE TABLE (\w+) \(", migrations, re.MULTILINE))
    for name in tables | {APP_ROLE, SYSTEM_ROLE}:
        assert f"`{name}`" in page, name


def test_decisions_are_numbered_and_end_in_what_enforces_them() -> None:
    """Each decision has the next number, and its last paragraph says what holds it up."""
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = _text(page)
        assert text.startswith(f"# {page.name[:4]}: ")
        assert text.strip().split("\n\n")[-1].startswith("**Enforced by**"), page.name


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _shown_commands(text: str) -> list[str]:
    """What follows ``assay`` in code blocks and in code within sentences."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    shown = [match[1] for line in lines if (match := _COMMAND.match(line))]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    shown += re.findall(r"`(?:docker compose exec worker )?assay ([a-z-][^`]*)`", prose)
    # `assay worker: ...` is what a worker says when it refuses to start.
    return [line for line in shown if not line.startswith(("--help", "...", "worker: "))]


def _commands(command: Any, path: tuple[str, ...]) -> dict[tuple[str, ...], set[str]]:
    """Every command by its path, with its options."""
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    found = {path: options} if path else {}
    for name, child in getattr(command, "commands", {}).items():
        found |= _commands(child, (*path, name))
    return found


def _defaults() -> dict[str, str | None]:
    """Each variable with its default as the table shows it; None where words explain it."""
    found: dict[str, str | None] = {}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            found[str(alias.choices[0])] = None
        elif field.default is None or field.default_factory is not None:
            found[f"ASSAY_{name.upper()}"] = None
        else:
            shown = str(field.default)
            found[f"ASSAY_{name.upper()}"] = shown.lower() if isinstance(field.default, bool) else shown
    return found
