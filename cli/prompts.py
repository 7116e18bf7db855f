"""`assay prompts`: the prompt versions in this checkout; needs no running stack."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import wrong_usage
from cli.options import AsJson
from cli.output import print_fields, print_json, print_line, print_table

if TYPE_CHECKING:
    from tasks.prompt import Prompt
    from tasks.spec import AnyTask

prompts_app = typer.Typer(no_args_is_help=True, help="Prompt versions.")

TaskName = Annotated[str, typer.Argument(metavar="TASK", show_default=False)]


@prompts_app.command("list")
def list_prompts(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", show_default=False)] = None, as_json: AsJson = False
) -> None:
    """List every version of every task's prompt."""
    from tasks import catalogue, find_task

    tasks = list(catalogue().values()) if task is None else [find_task(task)]
    found = [_as_dict(one, prompt) for one in tasks for prompt in one.prompts.values()]
    if as_json:
        print_json(found)
        return
    columns = ["task", "version", "active", "tier", "max tokens", "effort", "digest"]
    names = ["task", "version", "active", "tier", "max_tokens", "effort", "digest"]
    print_table("", columns, [[one[name] for name in names] for one in found])


@prompts_app.command("show")
def show_prompt(
    task: TaskName,
    version: Annotated[
        str | None, typer.Argument(metavar="[V]", show_default=False, help="The active one if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a prompt as it stands in its file."""
    from tasks import find_task

    chosen = find_task(task)
    prompt = chosen.active_prompt if version is None else _version(chosen, version)
    described = _as_dict(chosen, prompt)
    source = _source(prompt)
    if as_json:
        print_json({**described, "source": source})
        return
    print_fields((name.replace("_", " "), value) for name, value in described.items())
    print_line()
    print_line(source.rstrip("\n"))


@prompts_app.command("diff")
def diff_prompts(
    task: TaskName,
    old: Annotated[str, typer.Argument(metavar="V1", show_default=False)],
    new: Annotated[str, typer.Argument(metavar="V2", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Show what changed from one version to another, as a unified diff."""
    import difflib

    from tasks import find_task

    chosen = find_task(task)
    before, after = _version(chosen, old), _version(chosen, new)
    lines = difflib.unified_diff(
        _source(before).splitlines(),
        _source(after).splitlines(),
        f"{task}/{before.version}",
        f"{task}/{after.version}",
        lineterm="",
    )
    text = "\n".join(lines)
    if as_json:
        print_json({"task": task, "from": before.version, "to": after.version, "diff": text})
    else:
        print_line(text or f"{task}/{before.version} and {task}/{after.version} are equal.")


def _as_dict(task: "AnyTask", prompt: "Prompt") -> dict[str, object]:
    return {
        "task": task.name,
        "version": prompt.version,
        "active": prompt.version == task.active_prompt.version,
        "tier": prompt.head.tier.value,
        "max_tokens": prompt.head.max_tokens,
        "effort": prompt.head.effort,
        "digest": prompt.digest,
    }


def _version(task: "AnyTask", version: str) -> "Prompt":
    found = task.prompts.get(version)
    if found is None:
        raise wrong_usage(f"{task.name} has no prompt {version!r}; it has: {', '.join(task.prompts)}.")
    return found


def _source(prompt: "Prompt") -> str:
    from importlib import resources

    file = resources.files("tasks") / prompt.task / "prompts" / f"{prompt.version}.md"
    return file.read_text(encoding="utf-8")
