"""Makes a document deadly for every Python process that finds this folder on its path: preparing it is a segmentation fault.

A stand-in for what happens for real in native code: a parser, a tokenizer, a regular expression. Python imports
``sitecustomize`` at start by itself, so that the workers under test run unchanged.
"""

import os
import signal

POISON = "deadly nightshade"


def _poison() -> None:
    from tasks.prompt import Prompt

    render = Prompt.render

    def deadly(self: Prompt, variables: dict[str, object]) -> object:
        if POISON in str(variables.get("text")):
            os.kill(os.getpid(), signal.SIGSEGV)
        return render(self, variables)

    Prompt.render = deadly  # type: ignore[method-assign,assignment]


if os.environ.get("ASSAY_TEST_POISON"):
    _poison()
