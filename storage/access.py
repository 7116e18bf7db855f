"""Keys, accounts and sessions as they are looked up when somebody asks. System transactions only: who asks for which tenant
is not known before."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

# A key notes its use once a minute at most: a write per request would cost more than the request.
_KEY = """
SELECT id, tenant_id, name, role, requests_per_minute, used_at < now() - interval '1 minute' OR used_at IS NULL AS is_stale
FROM api_keys
WHERE digest = %(digest)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
_SESSION = """
SELECT s.digest, s.csrf, s.ends_at, s.account_id, a.login, a.role, a.tenants, s.key_id, k.name AS key_name,
       k.role AS key_role, k.tenant_id AS key_tenant
FROM sessions s LEFT JOIN accounts a ON a.id = s.account_id LEFT JOIN api_keys k ON k.id = s.key_id
WHERE s.digest = %(digest)s AND s.ends_at > now() AND s.seen_at > now() - make_interval(secs => %(idle)s)
  AND (s.account_id IS NULL OR a.disabled_at IS NULL)
  AND (s.key_id IS NULL OR (k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())))
"""
_LOCK_AFTER = 5
"""Wrong passwords in a row after which an account waits; each further one doubles the wait, up to an hour."""


@dataclass(frozen=True)
class Key:
    """A key that is valid now."""

    id: UUID
    tenant_id: str
    name: str
    role: str
    requests_per_minute: int | None
    is_stale: bool


@dataclass(frozen=True)
class Session:
    """A signed-in browser, by its account or its key.

    Attributes:
        csrf: what each of its forms must bring.
    """

    digest: str
    csrf: str
    ends_at: datetime
    account_id: UUID | None
    login: str | None
    role: str | None
    tenants: list[str] | None
    key_id: UUID | None
    key_name: str | None
    key_role: str | None
    key_tenant: str | None


@dataclass(frozen=True)
class Account:
    """A person who signs in with a password."""

    id: UUID
    login: str
    role: str
    tenants: list[str]
    password_hash: str
    is_locked: bool


def find_key(connection: Connection, digest: str) -> Key | None:
    """The valid key with this digest; notes that it is used."""
    row = connection.exec_driver_sql(_KEY, {"digest": digest}).first()
    if row is None:
        return None
    key = Key(*row)
    if key.is_stale:
        connection.exec_driver_sql("UPDATE api_keys SET used_at = now() WHERE id = %(id)s", {"id": key.id})
    return key


def insert_account(
    connection: Connection, account_id: UUID, login: str, *, role: str, tenants: list[str], password_hash: str
) -> bool:
    """Make an account. False: the login is taken."""
    row = connection.exec_driver_sql(
        "INSERT INTO accounts (id, login, role, tenants, password_hash)"
        " VALUES (%(id)s, %(login)s, %(role)s, %(tenants)s, %(hash)s) ON CONFLICT DO NOTHING RETURNING id",
        {"id": account_id, "login": login, "role": role, "tenants": tenants, "hash": password_hash},
    ).first()
    return row is not None


def find_account(connection: Connection, login: str) -> Account | None:
    """An account that is not disabled, locked until the transaction ends: wrong passwords are counted one by one."""
    row = connection.exec_driver_sql(
        "SELECT id, login, role, tenants, password_hash, coalesce(locked_until > now(), false) FROM accounts"
        " WHERE login = %(login)s AND disabled_at IS NULL FOR UPDATE",
        {"login": login},
    ).first()
    return None if row is None else Account(*row)


def set_password(connection: Connection, login: str, password_hash: str) -> bool:
    """Another password; every session of the account ends. False: no such account."""
    row = connection.exec_driver_sql(
        "UPDATE accounts SET password_hash = %(hash)s, failed_logins = 0, locked_until = NULL WHERE login = %(login)s"
        " RETURNING id",
        {"login": login, "hash": password_hash},
    ).first()
    if row is not None:
        connection.exec_driver_sql("DELETE FROM sessions WHERE account_id = %(id)s", {"id": row[0]})
    return row is not None


def disable_account(connection: Connection, login: str) -> bool:
    """Close an account; its sessions end. False: no such account, or closed before."""
    row = connection.exec_driver_sql(
        "UPDATE accounts SET disabled_at = now() WHERE login = %(login)s AND disabled_at IS NULL RETURNING id",
        {"login": login},
    ).first()
    if row is not None:
        connection.exec_driver_sql("DELETE FROM sessions WHERE account_id = %(id)s", {"id": row[0]})
    return row is not None


def all_accounts(connection: Connection) -> list[dict[str, Any]]:
    """Every account, without its password."""
    rows = connection.exec_driver_sql(
        "SELECT id, login, role, tenants, created_at, disabled_at FROM accounts ORDER BY login"
    )
    return [dict(row) for row in rows.mappings()]


def note_wrong_password(connection: Connection, account_id: UUID) -> None:
    """Count it; from the fifth on the account waits."""
    connection.exec_driver_sql(
        "UPDATE accounts SET failed_logins = failed_logins + 1, locked_until = CASE WHEN failed_logins + 1 >= %(after)s"
        " THEN now() + least(make_interval(secs => 30 * 2 ^ (failed_logins + 1 - %(after)s)), interval '1 hour') END"
        " WHERE id = %(id)s",
        {"id": account_id, "after": _LOCK_AFTER},
    )


def note_sign_in(connection: Connection, account_id: UUID) -> None:
    """The right password: the count starts anew."""
    connection.exec_driver_sql(
        "UPDATE accounts SET failed_logins = 0, locked_until = NULL WHERE id = %(id)s", {"id": account_id}
    )


def insert_session(
    connection: Connection, digest: str, csrf: str, *, account_id: UUID | None, key_id: UUID | None, seconds: float
) -> None:
    """Sign a browser in."""
    connection.exec_driver_sql(
        "INSERT INTO sessions (digest, csrf, account_id, key_id, ends_at)"
        " VALUES (%(digest)s, %(csrf)s, %(account)s, %(key)s, now() + make_interval(secs => %(seconds)s))",
        {"digest": digest, "csrf": csrf, "account": account_id, "key": key_id, "seconds": seconds},
    )


def find_session(connection: Connection, digest: str, *, idle_seconds: float) -> Session | None:
    """The session that lives under this digest; notes once a minute that it is used."""
    row = connection.exec_driver_sql(_SESSION, {"digest": digest, "idle": idle_seconds}).mappings().first()
    if row is None:
        return None
    connection.exec_driver_sql(
        "UPDATE sessions SET seen_at = now() WHERE digest = %(digest)s AND seen_at < now() - interval '1 minute'",
        {"digest": digest},
    )
    return Session(**row)


def end_session(connection: Connection, digest: str) -> None:
    """Sign a browser out."""
    connection.exec_driver_sql("DELETE FROM sessions WHERE digest = %(digest)s", {"digest": digest})


def drop_ended_sessions(connection: Connection) -> int:
    """Forget sessions that are over; returns how many."""
    return connection.exec_driver_sql("DELETE FROM sessions WHERE ends_at < now()").rowcount
