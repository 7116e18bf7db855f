"""Every folder below tasks/ is inspected; a failure says what is missing."""

import ast
import json
from pathlib import Path

import anthropic
import pytest

import tasks
from tasks import catalogue
from tasks.publish import PUBLISHED, rendered
from tasks.spec import AnyTask

FOLDER = Path(tasks.__file__).parent
TASKS = list(catalogue().values())

every_task = pytest.mark.parametrize("task", TASKS, ids=[task.name for task in TASKS])


def test_folders_are_tasks() -> None:
    """Each folder below tasks/ declares exactly one task, named like the folder and like its module of contracts."""
    folders = {entry.name for entry in FOLDER.iterdir() if entry.is_dir() and not entry.name.startswith("__")}
    assert folders == set(catalogue())
    for name in folders:
        assert catalogue()[name].request.__module__ == f"schemas.{name}"
        assert catalogue()[name].output.__module__ == f"schemas.{name}"


@every_task
def test_a_task_knows_no_other_task(task: AnyTask) -> None:
    """A task's folder imports no other task's folder: any one can be taken away."""
    others = {f"tasks.{name}" for name in catalogue() if name != task.name}
    for source in (FOLDER / task.name).rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not any(node.module == o or node.module.startswith(f"{o}.") for o in others), source


@every_task
def test_prompts_use_every_input_field_and_no_other(task: AnyTask) -> None:
    """Each prompt version uses exactly the task's prompt variables, and they cover the request's fields."""
    for example in task.golden():
        variables = set(task.prompt_variables(task.read_request(example["request"])))
        assert variables == set(task.request.model_fields)
        for prompt in task.prompts.values():
            assert prompt.variables == variables, f"{task.name}/{prompt.version}"


@every_task
def test_the_document_is_fenced_as_data(task: AnyTask) -> None:
    """In each prompt version the document stands inside its fence in the user turn and nowhere else."""
    for example in task.golden():
        request = task.read_request(example["request"])
        for prompt in task.prompts.values():
            rendered_prompt = prompt.render(task.prompt_variables(request))
            before, _, rest = rendered_prompt.user.partition("<document-")
            assert request.text in rest
            assert request.text not in before + rendered_prompt.system
            assert rendered_prompt.user.count(request.text) == 1


@every_task
def test_golden_examples_fit_both_contracts(task: AnyTask) -> None:
    """There are at least five golden examples, each with an acceptable input and an acceptable output."""
    examples = task.golden()
    assert len(examples) >= 5
    for example in examples:
        checked = task.check(task.read_request(example["request"]), example["output"])
        assert not isinstance(checked, list), [str(violation) for violation in checked]


@every_task
def test_the_rule_answers_golden_inputs_validly(task: AnyTask) -> None:
    """Where the rule answers a golden input, its answer meets the contract that models are held to; it answers some."""
    assert task.rule is not None
    answers = 0
    for example in task.golden():
        request = task.read_request(example["request"])
        output = task.rule(request)
        if output is not None:
            answers += 1
            checked = task.check(request, output.model_dump(mode="json"))
            assert not isinstance(checked, list), [str(violation) for violation in checked]
    assert answers > 0


@every_task
def test_the_output_schema_is_within_what_the_provider_accepts(task: AnyTask) -> None:
    """The SDK's own transformation keeps every word of the wire schema but descriptions of what is not enforced."""
    for example in task.golden():
        schema = task.reply_schema(task.read_request(example["request"]))
        sent = anthropic.transform_schema(schema)
        assert _shape(sent) == _shape(schema)


@every_task
def test_every_output_arm_can_be_read_back(task: AnyTask) -> None:
    """A golden output wrapped as a model's reply is read back as itself, and so is the not-applicable arm."""
    for example in task.golden():
        request = task.read_request(example["request"])
        read = task.read_reply(request, json.dumps({"answer": example["output"]}))
        assert not isinstance(read, list), [str(violation) for violation in read]
        checked = task.check(request, example["output"])
        assert not isinstance(checked, list)
        assert read.model_dump(mode="json") == checked.model_dump(mode="json")
        other = task.read_reply(request, '{"answer": {"outcome": "not_applicable", "reason": "another kind of text"}}')
        assert not isinstance(other, list)


@every_task
def test_the_published_schema_is_current(task: AnyTask) -> None:
    """schemas/published/ holds what the contracts say now; ``python -m tasks.publish`` writes it."""
    assert (PUBLISHED / f"{task.name}.json").read_text(encoding="utf-8") == rendered(task)


def test_nothing_else_is_published() -> None:
    """There is no published schema of a task that does not exist."""
    assert {path.stem for path in PUBLISHED.glob("*.json")} == set(catalogue())


def _shape(schema: object) -> object:
    """A schema without descriptions, and with ``type`` dropped beside ``enum`` and ``const``, as the provider reads it."""
    if isinstance(schema, list):
        return [_shape(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    redundant = {"description"} | ({"type"} if {"enum", "const"} & set(schema) else set())
    return {key: _shape(value) for key, value in schema.items() if key not in redundant or isinstance(value, dict)}
