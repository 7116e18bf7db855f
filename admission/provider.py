"""Which provider account a limit belongs to."""

import hashlib


def provider_digest(base_url: str, key: str | None) -> str:
    """Name of a provider account in Redis: limits belong to an address and a key, and neither may be read back from it.

    Args:
        base_url: the provider's address; a trailing slash makes no difference.
        key: the API key; None where there is none.

    Returns:
        16 hex digits. The key is random and long, so that they cannot be searched for.
    """
    return hashlib.sha256(f"{base_url.rstrip('/')}\n{key or ''}".encode()).hexdigest()[:16]
