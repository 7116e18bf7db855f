"""What a call costs. Prices come from the genai-prices package, whose data ships in its wheel; nothing is fetched."""

from decimal import Decimal
from functools import lru_cache

from schemas.usage import Usage


def cost_usd(model: str, usage: Usage) -> Decimal | None:
    """US dollars of one call, or None where the model has no known price (never zero for an unknown one).

    Args:
        model: the model that answered.
        usage: tokens as the provider counted them; ``input_tokens`` excludes cached ones.
    """
    if not _is_priced(model):
        return None
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    priced = PricedUsage(
        input_tokens=usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    return Decimal(calc_price(priced, model, provider_id="anthropic").total_price)


@lru_cache(maxsize=256)
def _is_priced(model: str) -> bool:
    """Asked once per model: a miss costs a search through the package's data."""
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    try:
        calc_price(PricedUsage(input_tokens=1, output_tokens=1), model, provider_id="anthropic")
    except LookupError:
        return False
    return True
