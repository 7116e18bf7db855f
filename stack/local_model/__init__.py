"""A small language model on this machine behind the Anthropic Messages protocol.

It proves the plumbing without a key: calls, streaming, enforced schemas, truncation, repair and fallbacks are real.
It proves nothing about quality. ``python -m stack.local_model --port N --home DIR`` runs it.
"""

MODEL_ID = "smollm2-135m-instruct"
"""The one model it serves."""

KEY_NAME = "local-model"
"""The file below ASSAY_HOME/secrets that holds its API key."""
