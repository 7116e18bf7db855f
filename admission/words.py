"""Sentences for people about what is full."""

_WINDOWS = {
    "requests": "requests per minute",
    "input_tokens": "input tokens per minute",
    "output_tokens": "output tokens per minute",
    "concurrent": "calls at a time",
}


def why_not(what: str, model: str, tenant: str) -> str:
    """One sentence that names the scope and the window.

    Args:
        what: ``<scope> <window>``, e.g. ``tenant input_tokens``, or ``model breaker``, ``model pause``.
        model: the model id asked for.
        tenant: whose job it is.
    """
    scope, _, window = what.partition(" ")
    if window == "breaker":
        return f"{model} does not answer; one call at a time tries whether it is back"
    if window == "pause":
        return f"the provider asked for a pause of all calls to {model}"
    who = f"tenant {tenant}" if scope == "tenant" else model
    return f"{who} is at its limit of {_WINDOWS[window]}"
