"""Write each task's contract as JSON Schema to ``schemas/published/``: ``python -m tasks.publish``."""

import json
from pathlib import Path

import schemas
from tasks import catalogue
from tasks.spec import AnyTask

PUBLISHED = Path(schemas.__file__).parent / "published"


def rendered(task: AnyTask) -> str:
    """The published text of a task's contract."""
    return json.dumps(task.published_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all."""
    for name, task in catalogue().items():
        (PUBLISHED / f"{name}.json").write_text(rendered(task), encoding="utf-8")


if __name__ == "__main__":
    main()
