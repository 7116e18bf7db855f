"""Who asks: keys, and people who sign in. A wrong key and a wrong password cost the same whether or not they exist."""

import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

from jobs import passwords
from jobs.tenancy import KEY_PREFIX
from schemas.access import Principal, Role
from storage import access
from storage.database import Database

SESSION_SECONDS = 12 * 3600.0
"""A working day; then one signs in again."""
IDLE_SECONDS = 2 * 3600.0
"""A browser that was left alone for so long is signed out."""
NAMED_BY_KEY = "key:"
"""So begin the names of keys in the audit; no login does."""


@dataclass(frozen=True)
class SignedIn:
    """A browser's session.

    Attributes:
        csrf: what each of its forms must bring.
        digest: by which it is known.
    """

    principal: Principal
    csrf: str
    digest: str


def by_key(database: Database, key: str) -> Principal | None:
    """Whose key this is. None: it is unknown, revoked or has expired."""
    with database.system() as connection:
        found = access.find_key(connection, _digest(key))
    if found is None:
        return None
    return Principal(
        name=NAMED_BY_KEY + found.name,
        role=Role(found.role),
        tenants=(found.tenant_id,),
        key_id=found.id,
        requests_per_minute=found.requests_per_minute,
    )


def sign_in(database: Database, login: str, password: str) -> str | None:
    """Sign a person in, or whoever has a key: then the key stands in place of the password and the login does not matter.

    Returns:
        The session's token, for the cookie; a new one each time, so that one which was planted beforehand is worth nothing.
        None: wrong, or too many wrong ones lately.
    """
    if password.startswith(KEY_PREFIX):
        principal = by_key(database, password)
        if principal is None or principal.role is Role.PRODUCER:
            return None
        return _begin(database, key_id=principal.key_id)
    with database.system() as connection:
        account = access.find_account(connection, login)
        right = passwords.is_right(account.password_hash if account is not None else None, password)
        if account is None:
            return None
        if account.is_locked:  # counted on, a stranger could keep it locked for ever
            return None
        if not right:
            access.note_wrong_password(connection, account.id)
            return None
        access.note_sign_in(connection, account.id)
    return _begin(database, account_id=account.id)


def by_session(database: Database, token: str) -> SignedIn | None:
    """Who is signed in. None: the session is over, or its key or account is."""
    with database.system() as connection:
        found = access.find_session(connection, _digest(token), idle_seconds=IDLE_SECONDS)
    if found is None:
        return None
    if found.account_id is not None:
        assert found.login is not None
        assert found.role is not None
        principal = Principal(
            name=found.login, role=Role(found.role), tenants=tuple(found.tenants or ()), account_id=found.account_id
        )
    else:
        assert found.key_tenant is not None
        assert found.key_role is not None
        principal = Principal(
            name=f"{NAMED_BY_KEY}{found.key_name}",
            role=Role(found.key_role),
            tenants=(found.key_tenant,),
            key_id=found.key_id,
        )
    return SignedIn(principal, found.csrf, found.digest)


def sign_out(database: Database, token: str) -> None:
    """End a session."""
    with database.system() as connection:
        access.end_session(connection, _digest(token))


def _begin(database: Database, *, account_id: UUID | None = None, key_id: UUID | None = None) -> str:
    token = secrets.token_urlsafe(32)
    with database.system() as connection:
        access.insert_session(
            connection,
            _digest(token),
            secrets.token_urlsafe(32),
            account_id=account_id,
            key_id=key_id,
            seconds=SESSION_SECONDS,
        )
    return token


def _digest(secret: str) -> str:
    """SHA-256: keys and tokens have 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
