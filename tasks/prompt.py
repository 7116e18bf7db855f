"""Prompts: versioned files with front matter, rendered strictly.

A file ``tasks/<task>/prompts/<version>.md`` starts with front matter between two ``---`` lines (``tier``,
``max_tokens``, optionally ``effort``), then the system prompt, a line ``=== user``, and the user turn. Both are
Jinja templates whose variables are the fields of the task's request. A variable that is unknown or never used is an
error. A published file is never edited: a change is a new version.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

import jinja2
import jinja2.meta
import yaml
from pydantic import Field, ValidationError

from schemas.base import Contract
from schemas.tier import Tier

USER_TURN = "=== user"
_VERSION = re.compile(r"v[1-9][0-9]*")


class PromptError(ValueError):
    """A prompt file or its rendering is wrong; the message names the file and what to change."""


class PromptHead(Contract):
    """The front matter.

    Attributes:
        tier: the model role that is asked first.
        max_tokens: cap on the output tokens of the first call.
        effort: how hard the model thinks, in the provider's words; None leaves it to the provider.
    """

    tier: Tier
    max_tokens: int = Field(ge=16, le=64_000)
    effort: str | None = Field(default=None, pattern="^(low|medium|high|xhigh|max)$")


class RenderedPrompt(NamedTuple):
    """A prompt with its variables filled in."""

    system: str
    user: str


class Prompt:
    """One version of a task's prompt.

    Attributes:
        task, version: its name, e.g. ``classify`` and ``v1``.
        head: its front matter.
        digest: SHA-256 of the file's bytes, hex; stands in every attempt made with it.
        source_bytes: length of the file, for estimates.
        variables: the names its templates use.
    """

    def __init__(self, task: str, version: str, source: str) -> None:
        self.task = task
        self.version = version
        self.digest = hashlib.sha256(source.encode()).hexdigest()
        self.source_bytes = len(source.encode())
        where = f"tasks/{task}/prompts/{version}.md"
        head, body = _split_front_matter(source, where)
        self.head = head
        system, user = _split_turns(body, where)
        environment = _environment()
        self.variables = frozenset(
            jinja2.meta.find_undeclared_variables(environment.parse(system))
            | jinja2.meta.find_undeclared_variables(environment.parse(user))
        )
        self._where = where
        self._system = environment.from_string(system)
        self._user = environment.from_string(user)

    def render(self, variables: Mapping[str, object]) -> RenderedPrompt:
        """Fill in the variables.

        Raises:
            PromptError: a variable is missing, or one was given that the templates never use.
        """
        unused = sorted(set(variables) - self.variables)
        missing = sorted(self.variables - set(variables))
        if unused or missing:
            raise PromptError(f"{self._where}: unused variables {unused}, missing variables {missing}")
        try:
            return RenderedPrompt(self._system.render(variables).strip(), self._user.render(variables).strip())
        except jinja2.UndefinedError as error:
            raise PromptError(f"{self._where}: {error.message}") from None


def fenced(text: str) -> str:
    """Fence a document as data: the tag carries the text's own hash, which a text cannot contain, so it cannot close it."""
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"<document-{mark}>\n{text}\n</document-{mark}>"


@lru_cache
def load_prompts(task: str) -> dict[str, Prompt]:
    """All versions of a task's prompt, oldest first.

    Raises:
        PromptError: there is none, or a file has a wrong name or content.
    """
    folder = resources.files("tasks") / task / "prompts"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".md"))
    for name in names:
        if not _VERSION.fullmatch(name.removesuffix(".md")):
            raise PromptError(f"tasks/{task}/prompts/{name}: name it v1.md, v2.md, ...")
    if not names:
        raise PromptError(f"tasks/{task}/prompts/ holds no prompt; add v1.md")
    versions = sorted((name.removesuffix(".md") for name in names), key=lambda version: int(version[1:]))
    return {v: Prompt(task, v, (folder / f"{v}.md").read_text(encoding="utf-8")) for v in versions}


def _split_front_matter(source: str, where: str) -> tuple[PromptHead, str]:
    parts = source.split("---\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise PromptError(f"{where}: start with front matter between two --- lines")
    try:
        return PromptHead.model_validate(yaml.safe_load(parts[1])), parts[2]
    except (yaml.YAMLError, ValidationError) as error:
        raise PromptError(f"{where}: front matter: {error}") from None


def _split_turns(body: str, where: str) -> tuple[str, str]:
    system, mark, user = body.partition(f"\n{USER_TURN}\n")
    if not mark or not system.strip() or not user.strip():
        raise PromptError(f"{where}: write the system prompt, a line '{USER_TURN}', and the user turn")
    return system, user


@lru_cache
def _environment() -> jinja2.Environment:
    # Prompts are plain text and their templates are ours: no HTML escaping, no untrusted template.
    environment = jinja2.Environment(  # noqa: S701
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )
    environment.filters["fenced"] = fenced
    return environment
