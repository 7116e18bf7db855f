"""`assay tenants` and `assay keys`, for operators."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.connect import check_tenant, connected_database
from cli.options import DEFAULT_TENANT, AsJson, Tenant, read_id
from cli.output import print_json, print_line, print_table
from cli.submit import read_deadline

tenants_app = typer.Typer(no_args_is_help=True, help="Tenants: who may not see whose data.")
keys_app = typer.Typer(no_args_is_help=True, help="API keys of a tenant.")


class Role(StrEnum):
    """What a key may be used for."""

    PRODUCER = "producer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"


@tenants_app.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """List the tenants."""
    with connected_database() as connection:
        from jobs.tenancy import list_tenants as every

        found = every(connection.database)
    if as_json:
        print_json(found)
    else:
        print_table("", ["tenant", "name", "since"], [(one["id"], one["name"], one["created_at"]) for one in found])


@tenants_app.command("create")
def create_tenant(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", show_default=False, help="Its id: a-z, 0-9, - and _.")],
    name: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a tenant."""
    with connected_database() as connection:
        from jobs.tenancy import create_tenant as make

        make(connection.database, tenant, name or tenant)
    if as_json:
        print_json({"tenant": tenant, "name": name or tenant})
    else:
        print_line(f"tenant {tenant} made; submit for it with --tenant {tenant}")


@keys_app.command("list")
def list_keys(tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False) -> None:
    """List a tenant's keys; the keys themselves are not stored."""
    with connected_database() as connection:
        from jobs.tenancy import list_keys as every

        check_tenant(connection, tenant)
        found = every(connection.database, tenant)
    if as_json:
        print_json([{"key_id": one.pop("id"), **one} for one in found])
        return
    columns = ["key id", "name", "role", "since", "expires", "revoked"]
    names = ["id", "name", "role", "created_at", "expires_at", "revoked_at"]
    print_table("", columns, [[one[name] for name in names] for one in found])


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "key",
    role: Annotated[Role, typer.Option("--role", help="What it may be used for.")] = Role.PRODUCER,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="WHEN", help="When it ends: 2027-01-01T00:00Z, or 90d.")
    ] = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once."""
    from datetime import UTC, datetime

    expires_at = None if expires is None else read_deadline(expires, datetime.now(UTC), option="--expires")
    with connected_database() as connection:
        from jobs.tenancy import create_key as make

        key_id, key = make(connection.database, tenant, name, role.value, expires_at=expires_at)
    if as_json:
        print_json({"key_id": key_id, "api_key": key, "tenant": tenant, "name": name, "role": role.value})
    else:
        print_line(key)
        print_line(f"Keep it now: it is not stored and cannot be shown again. Its id is {key_id}.")


@keys_app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="KEY_ID", show_default=False, help="The id that `keys list` shows.")],
    as_json: AsJson = False,
) -> None:
    """Revoke a key at once."""
    key_id = read_id(key, "key")
    with connected_database() as connection:
        from jobs.tenancy import revoke_key as revoke

        revoke(connection.database, key_id)
    if as_json:
        print_json({"key_id": key_id, "revoked": True})
    else:
        print_line(f"key {key_id} revoked")
