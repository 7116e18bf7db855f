"""Folds py-spy's raw stacks into: whose code was at work, in which step. Pure.

A line of the raw format is ``outermost (file:line);...;innermost (file:line) COUNT``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

OWN_PACKAGES = ("orchestration", "jobs", "storage", "workers", "tasks", "fallbacks", "governance", "schemas")
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "Celery, kombu, redis": ("celery", "kombu", "redis", "amqp", "vine", "billiard", "hiredis"),
    "model SDK, HTTP": ("anthropic", "httpx2", "httpcore2", "h11", "anyio", "certifi", "sniffio", "truststore"),
    "SQLAlchemy, psycopg": ("sqlalchemy", "psycopg", "psycopg_binary", "psycopg_c"),
    "pydantic, json": ("pydantic", "pydantic_core", "pydantic_settings", "jiter"),
    "prices (genai-prices)": ("genai_prices",),
    "jinja2": ("jinja2",),
    "tenacity": ("tenacity",),
}
OTHER_LIBRARIES = "other libraries"
INTERPRETER = "threads, interpreter"

STEPS: tuple[tuple[str, str, str], ...] = (
    ("send", "orchestration/provider.py", "ask: the call itself"),
    ("judge", "orchestration/judgement.py", "ask: validate, verify quotes"),
    ("_ask", "jobs/execute.py", "ask: the rest (retry frame, ledger)"),
    ("prepare", "orchestration/pipeline.py", "claim: build the prompt"),
    ("_begin", "jobs/execute.py", "claim: transaction, attempt's intent"),
    ("_conclude", "jobs/execute.py", "conclude: transaction, answer, attempt"),
    ("execute", "jobs/execute.py", "execute: between the steps"),
    ("_dispatch", "workers/upkeep.py", "dispatch: window, publishing"),
    ("_heartbeat", "workers/upkeep.py", "heartbeat"),
    ("_sweep", "workers/upkeep.py", "sweep"),
    ("run_ids", "workers/execution.py", "message: ids to slots"),
    ("_run", "workers/slots.py", "slots: queue, threads"),
)
"""Function, end of its file, and the step it stands for; the first that stands anywhere in a stack names it."""
NO_STEP = "message: Celery's consumer and its tasks' frame"

_FRAME = re.compile(r"(?P<function>.*) \((?P<file>.*?)(?::(?P<line>\d+))?\)$")


class Frame(NamedTuple):
    """One level of a stack."""

    function: str
    file: str
    line: int


class Sample(NamedTuple):
    """A stack, outermost first, and in how many samples it was seen."""

    frames: tuple[Frame, ...]
    seen: int


def parse(lines: Iterable[str]) -> list[Sample]:
    """py-spy's raw output; lines that are none are skipped."""
    samples = []
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        if stack and count.isdigit():
            samples.append(Sample(tuple(map(_frame, stack.split(";"))), int(count)))
    return samples


def by_owner(samples: Iterable[Sample], checkout: str) -> Counter[str]:
    """Samples by the owner of the innermost frame that has one: what the standard library does, it does for its caller."""
    counted: Counter[str] = Counter()
    for sample in samples:
        owners = (owner_of(frame.file, checkout) for frame in reversed(sample.frames))
        counted[next((owner for owner in owners if owner), INTERPRETER)] += sample.seen
    return counted


def by_step(samples: Iterable[Sample]) -> Counter[str]:
    """Samples by the step of the work they belong to, whosever code runs there."""
    counted: Counter[str] = Counter()
    for sample in samples:
        counted[_step(sample)] += sample.seen
    return counted


def by_own_function(samples: Iterable[Sample], checkout: str) -> Counter[Frame]:
    """Samples by each of our functions on the stack, with all it calls; its line is where it called or worked most."""
    counted: Counter[Frame] = Counter()
    lines: dict[tuple[str, str], Counter[int]] = {}
    for sample in samples:
        own = {(f.function, f.file): f.line for f in sample.frames if _own_package(f.file, checkout)}
        for (function, file), line in own.items():
            counted[Frame(function, file, 0)] += sample.seen
            lines.setdefault((function, file), Counter())[line] += sample.seen
    return Counter(
        {frame._replace(line=lines[frame.function, frame.file].most_common(1)[0][0]): n for frame, n in counted.items()}
    )


def by_innermost(samples: Iterable[Sample]) -> Counter[Frame]:
    """Samples by the function that was at work itself."""
    counted: Counter[Frame] = Counter()
    for sample in samples:
        counted[sample.frames[-1]._replace(line=0)] += sample.seen
    return counted


def owner_of(file: str, checkout: str) -> str | None:
    """Whose code a file is; None for the standard library, which works for its caller."""
    package = _own_package(file, checkout)
    if package:
        return f"own: {package}"
    if file == "<template>":
        return "jinja2"
    _, site, inside = file.rpartition("site-packages/")
    if site:
        top = inside.partition("/")[0].removesuffix(".py")
        return next((owner for owner, tops in LIBRARIES.items() if top in tops), OTHER_LIBRARIES)
    return "pydantic, json" if "/json/" in file else None


def _own_package(file: str, checkout: str) -> str | None:
    if not file.startswith(f"{checkout}/") or "/site-packages/" in file:
        return None
    package = file[len(checkout) + 1 :].partition("/")[0]
    return package if package in OWN_PACKAGES else None


def _step(sample: Sample) -> str:
    for function, file, step in STEPS:
        if any(_bare(frame.function) == function and frame.file.endswith(file) for frame in sample.frames):
            return step
    return NO_STEP


def _bare(function: str) -> str:
    """The name without its class, which only newer interpreters tell."""
    return function.rpartition(".")[2]


def _frame(text: str) -> Frame:
    found = _FRAME.match(text)
    if found is None:
        return Frame(text, "", 0)
    return Frame(found["function"], found["file"], int(found["line"] or 0))
