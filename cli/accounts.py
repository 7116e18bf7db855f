"""`assay accounts`: people who sign in at the review desk and the operators' pages with a password."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from cli.connect import connected_database
from cli.errors import wrong_usage
from cli.options import DEFAULT_TENANT, AsJson
from cli.output import print_json, print_line, print_table

accounts_app = typer.Typer(no_args_is_help=True, help="People who sign in with a password.")
Login = Annotated[str, typer.Argument(metavar="LOGIN", show_default=False, help="The name that the audit shows.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
]


class Role(StrEnum):
    """``schemas.access.Role`` of people, for help without its imports."""

    REVIEWER = "reviewer"
    OPERATOR = "operator"


@accounts_app.command("list")
def list_accounts(as_json: AsJson = False) -> None:
    """List the accounts."""
    with connected_database() as connection:
        from jobs.accounts import list_accounts as every

        found = every(connection.database)
    if as_json:
        print_json(found)
        return
    rows = [
        (one["login"], one["role"], ", ".join(one["tenants"]), one["created_at"], one["disabled_at"]) for one in found
    ]
    print_table("", ["login", "role", "tenants", "since", "closed"], rows)


@accounts_app.command("create")
def create_account(
    login: Login,
    role: Annotated[Role, typer.Option("--role", help="What the person does.")] = Role.REVIEWER,
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", metavar="TENANT", help="Whose rows it may see; repeat it.")
    ] = None,
    from_stdin: FromStdin = False,
    as_json: AsJson = False,
) -> None:
    """Make an account; asks for the password twice."""
    password = _password(from_stdin)
    tenants = tenant or [DEFAULT_TENANT]
    with connected_database() as connection:
        from jobs.accounts import create_account as make
        from schemas.access import Role as AnyRole

        make(connection.database, login, password, AnyRole(role.value), tenants)
    if as_json:
        print_json({"login": login, "role": role.value, "tenants": tenants})
    else:
        print_line(f"account {login} made: {role.value} of {', '.join(tenants)}")


@accounts_app.command("password")
def set_password(login: Login, from_stdin: FromStdin = False, as_json: AsJson = False) -> None:
    """Give an account another password; whoever is signed in with it is signed out."""
    password = _password(from_stdin)
    with connected_database() as connection:
        from jobs.accounts import set_password as change

        change(connection.database, login, password)
    if as_json:
        print_json({"login": login})
    else:
        print_line(f"account {login} has another password; its sessions have ended")


@accounts_app.command("close")
def close_account(login: Login, as_json: AsJson = False) -> None:
    """Close an account at once; what it has decided keeps its name."""
    with connected_database() as connection:
        from jobs.accounts import close_account as close

        close(connection.database, login)
    if as_json:
        print_json({"login": login, "closed": True})
    else:
        print_line(f"account {login} is closed; its sessions have ended")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise wrong_usage("There is no terminal to ask for the password; give it with --password-stdin.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
