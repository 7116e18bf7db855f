"""`assay tenants` and `assay keys`, for operators."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.connect import check_tenant, connected_database
from cli.errors import wrong_usage
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
        rows = [(one["id"], one["name"], f"{one['weight']:g}", _limits(one), one["created_at"]) for one in found]
        print_table("", ["tenant", "name", "weight", "limits", "since"], rows)


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


@tenants_app.command("set")
def set_share(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", show_default=False, help="Its id.")],
    weight: Annotated[float | None, typer.Option(help="Its share of the work among tenants that have work.")] = None,
    requests: Annotated[int | None, typer.Option("--requests-per-minute", help="0: no limit.")] = None,
    input_tokens: Annotated[int | None, typer.Option("--input-tokens-per-minute", help="0: no limit.")] = None,
    output_tokens: Annotated[int | None, typer.Option("--output-tokens-per-minute", help="0: no limit.")] = None,
    concurrent: Annotated[int | None, typer.Option("--concurrent-calls", help="0: no limit.")] = None,
    partial_text: Annotated[
        bool | None,
        typer.Option(
            "--partial-text/--no-partial-text", help="Whether what a model writes may be followed while it does."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a tenant's share of the work, or what it may take of the model provider."""
    limits = {
        "requests_per_minute": requests, "input_tokens_per_minute": input_tokens,
        "output_tokens_per_minute": output_tokens, "concurrent_calls": concurrent,
    }  # fmt: skip
    changes: dict[str, float | None] = {name: value or None for name, value in limits.items() if value is not None}
    if weight is not None:
        changes["weight"] = weight
    if partial_text is not None:
        changes["partial_text"] = partial_text
    if not changes:
        raise wrong_usage("Nothing to change: give --weight or one of the limits.")
    with connected_database() as connection:
        from jobs.tenancy import set_share as change

        change(connection.database, tenant, changes)
    if as_json:
        print_json({"tenant": tenant, **changes})
    else:
        print_line(f"tenant {tenant} changed; it holds from the next job on")


def _limits(tenant: "dict[str, Any]") -> str:
    names = {
        "requests_per_minute": "calls/min", "input_tokens_per_minute": "input tokens/min",
        "output_tokens_per_minute": "output tokens/min", "concurrent_calls": "calls at a time",
    }  # fmt: skip
    return ", ".join(f"{tenant[name]:,} {unit}" for name, unit in names.items() if tenant[name] is not None) or "-"


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
