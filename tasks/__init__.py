"""What can be asked. Each task is a folder with a ``task`` declaration; :func:`catalogue` finds them."""

import importlib
import pkgutil
from functools import lru_cache

from tasks.spec import AnyTask


class UnknownTask(LookupError):
    """No such task; the message lists those there are."""


@lru_cache
def catalogue() -> dict[str, AnyTask]:
    """All tasks by name. A folder below ``tasks/`` is a task: there is nothing to register."""
    tasks: dict[str, AnyTask] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            task = importlib.import_module(f"tasks.{module.name}").task
            tasks[task.name] = task
    return tasks


def find_task(name: str) -> AnyTask:
    """The task of this name.

    Raises:
        UnknownTask: there is none.
    """
    try:
        return catalogue()[name]
    except KeyError:
        raise UnknownTask(f"There is no task {name!r}; choose one of: {', '.join(sorted(catalogue()))}.") from None
