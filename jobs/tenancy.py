"""Tenants and API keys, made and listed by operators."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs.cancel import NotFound
from schemas.access import Role
from schemas.ids import new_id
from storage import tenants
from storage.database import Database

KEY_PREFIX = "assay_"
ROLES = tuple(role.value for role in Role)
_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class TenancyRefused(ValueError):
    """The tenant or key cannot be made; the message says why."""


def create_tenant(database: Database, tenant_id: str, name: str) -> None:
    """Make a tenant.

    Raises:
        TenancyRefused: the id is taken or malformed.
    """
    if not _TENANT_ID.fullmatch(tenant_id):
        raise TenancyRefused(f"{tenant_id!r} is no tenant id; use lower-case letters, digits, - and _ (at most 63)")
    with database.system() as connection:
        if not tenants.insert(connection, tenant_id, name):
            raise TenancyRefused(f"there is a tenant {tenant_id!r} already")


def set_share(database: Database, tenant_id: str, changes: Mapping[str, float | None]) -> None:
    """Change a tenant's weight, limits or what may be seen of its jobs (:data:`storage.tenants.SHARES`), from the next job on.

    Raises:
        TenancyRefused: there is no such tenant, or a figure is not above 0.
    """
    for name, value in changes.items():
        if value is not None and not isinstance(value, bool) and not value > 0:
            raise TenancyRefused(f"{name.replace('_', ' ')}: {value:g} is not above 0")
    with database.system() as connection:
        if not tenants.set_share(connection, tenant_id, changes):
            raise TenancyRefused(f"there is no tenant {tenant_id!r}; make it with `assay tenants create {tenant_id}`")


def list_tenants(database: Database) -> list[dict[str, Any]]:
    """Every tenant."""
    with database.system() as connection:
        return tenants.all_tenants(connection)


def create_key(
    database: Database, tenant_id: str, name: str, role: str, *, expires_at: datetime | None = None
) -> tuple[UUID, str]:
    """Make an API key. Only its SHA-256 is stored (the key has 256 random bits: a slow hash would add nothing).

    Returns:
        Its id, and the key itself, which is shown this once.

    Raises:
        TenancyRefused: no such tenant or role.
    """
    if role not in ROLES:
        raise TenancyRefused(f"{role!r} is no role; choose one of: {', '.join(ROLES)}")
    key_id, key = new_id(), KEY_PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).hexdigest()
    with database.system() as connection:
        if not tenants.exists(connection, tenant_id):
            raise TenancyRefused(f"there is no tenant {tenant_id!r}")
        tenants.insert_key(connection, key_id, tenant_id, name=name, role=role, digest=digest, expires_at=expires_at)
    return key_id, key


def list_keys(database: Database, tenant_id: str) -> list[dict[str, Any]]:
    """A tenant's keys, without the keys themselves."""
    with database.system() as connection:
        return tenants.keys_of(connection, tenant_id)


def revoke_key(database: Database, key_id: UUID) -> None:
    """Revoke a key at once.

    Raises:
        NotFound: there is no such key, or it was revoked before.
    """
    with database.system() as connection:
        if not tenants.revoke_key(connection, key_id):
            raise NotFound(f"There is no key {key_id}, or it was revoked already.")
