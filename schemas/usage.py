"""Tokens of one call."""

from pydantic import NonNegativeInt

from schemas.base import Contract


class Usage(Contract):
    """Tokens as the provider counted them. The whole input is the sum of the three input figures."""

    input_tokens: NonNegativeInt = 0
    output_tokens: NonNegativeInt = 0
    cache_read_tokens: NonNegativeInt = 0
    cache_write_tokens: NonNegativeInt = 0
