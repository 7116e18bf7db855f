"""Passwords of people: how they are kept and compared."""

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError


def hashed(password: str) -> str:
    """As it is stored: Argon2id with the library's present defaults (RFC 9106, low memory)."""
    return _hasher().hash(password.encode(errors="surrogatepass"))


def is_right(password_hash: str | None, password: str) -> bool:
    """Whether this is the password. Takes as long where there is none to compare with."""
    try:
        _hasher().verify(password_hash or _nobodys(), password.encode(errors="surrogatepass"))
    except (VerifyMismatchError, InvalidHashError):
        return False
    return password_hash is not None


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_urlsafe(32))
