"""Tokens and money of one call."""

from decimal import Decimal

from pydantic import NonNegativeInt

from schemas.base import Contract


class Usage(Contract):
    """Tokens as the provider counted them. The whole input is the sum of the three input figures."""

    input_tokens: NonNegativeInt = 0
    output_tokens: NonNegativeInt = 0
    cache_read_tokens: NonNegativeInt = 0
    cache_write_tokens: NonNegativeInt = 0

    @property
    def total_tokens(self) -> int:
        """All tokens of the call, in and out."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens


class Cost(Contract):
    """US dollars; ``None`` where the model has no known price (the local model, a private one)."""

    usd: Decimal | None
