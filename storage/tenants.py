"""Tenants and their API keys. Made in system transactions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection


def insert(connection: Connection, tenant_id: str, name: str) -> bool:
    """Make a tenant. False: the id is taken."""
    row = connection.exec_driver_sql(
        "INSERT INTO tenants (id, name) VALUES (%(id)s, %(name)s) ON CONFLICT DO NOTHING RETURNING id",
        {"id": tenant_id, "name": name},
    ).first()
    return row is not None


SHARES = (
    "weight", "requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute", "concurrent_calls",
    "partial_text",
)  # fmt: skip
"""What an operator may set for a tenant: its weight among tenants, its limits (None is no limit), and whether text
of its running jobs may be followed."""


def set_share(connection: Connection, tenant_id: str, changes: Mapping[str, float | None]) -> bool:
    """Change some of :data:`SHARES`. False: there is no such tenant."""
    columns = [name for name in SHARES if name in changes]
    row = connection.exec_driver_sql(
        f"UPDATE tenants SET {', '.join(f'{name} = %({name})s' for name in columns)} WHERE id = %(id)s RETURNING id",
        {**changes, "id": tenant_id},
    ).first()
    return row is not None


def exists(connection: Connection, tenant_id: str) -> bool:
    """Whether there is such a tenant; works in the tenant's own transaction too."""
    return connection.exec_driver_sql("SELECT 1 FROM tenants WHERE id = %(id)s", {"id": tenant_id}).first() is not None


def all_tenants(connection: Connection) -> list[dict[str, Any]]:
    """Every tenant, by id."""
    return [dict(row) for row in connection.exec_driver_sql("SELECT * FROM tenants ORDER BY id").mappings()]


def insert_key(
    connection: Connection,
    key_id: UUID,
    tenant_id: str,
    *,
    name: str,
    role: str,
    digest: str,
    expires_at: datetime | None,
) -> None:
    """Store an API key's digest; the key itself is shown once and never stored."""
    connection.exec_driver_sql(
        "INSERT INTO api_keys (id, tenant_id, name, role, digest, expires_at)"
        " VALUES (%(id)s, %(tenant)s, %(name)s, %(role)s, %(digest)s, %(expires_at)s)",
        {"id": key_id, "tenant": tenant_id, "name": name, "role": role, "digest": digest, "expires_at": expires_at},
    )


def keys_of(connection: Connection, tenant_id: str) -> list[dict[str, Any]]:
    """A tenant's API keys, without their digests."""
    rows = connection.exec_driver_sql(
        "SELECT id, name, role, created_at, expires_at, revoked_at FROM api_keys WHERE tenant_id = %(tenant)s ORDER BY id",
        {"tenant": tenant_id},
    )
    return [dict(row) for row in rows.mappings()]


def revoke_key(connection: Connection, key_id: UUID) -> bool:
    """Revoke a key. False: there is none, or it was revoked before."""
    row = connection.exec_driver_sql(
        "UPDATE api_keys SET revoked_at = now() WHERE id = %(id)s AND revoked_at IS NULL RETURNING id", {"id": key_id}
    ).first()
    return row is not None
