"""What a job will cost, guessed when it is submitted: the measure in which fairness between tenants is counted."""

from tasks.spec import AnyTask

OUTPUT_FACTOR = 5
"""An output token costs as much as five input tokens, for every Claude model of today (price list of genai-prices 0.2.3:
0.10/0.50, 2/10, 4/20, 8/40 US dollars a million); ``tests/unit/tasks/test_estimate.py`` compares them."""
BYTES_PER_TOKEN = 3
"""Measured with a reconstruction of Claude's tokenizer: 3.5 characters a token in prose, 2.9 in contracts, 2.5 in mail,
1.4 in receipts."""
OUTPUT_SHARE = 4
"""An answer is taken to be a quarter of the prompt's ``max_tokens``: the cap leaves room for the long ones. A guess."""


def estimate(task: AnyTask, request_bytes: int, prompt_version: str | None = None) -> float:
    """A job's cost in thousands of token units: input tokens, plus five for each output token. Always above zero.

    It only has to be fair, not right: it orders tenants against each other and never stands for money. When spending is
    forecast, costs learned from the attempts of the same prompt version take its place.

    Args:
        request_bytes: length of the request, as UTF-8.
        prompt_version: the version asked for; None is the active one.
    """
    prompt = task.prompts[prompt_version] if prompt_version is not None else task.active_prompt
    tokens_in = (request_bytes + prompt.source_bytes) / BYTES_PER_TOKEN
    tokens_out = prompt.head.max_tokens / OUTPUT_SHARE
    return (tokens_in + OUTPUT_FACTOR * tokens_out) / 1000
