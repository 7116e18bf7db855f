"""Accounts of people: made, listed and closed by operators."""

from typing import Any
from uuid import UUID

from jobs import passwords
from jobs.access import NAMED_BY_KEY
from jobs.cancel import NotFound
from jobs.tenancy import KEY_PREFIX, TenancyRefused
from schemas.access import Role
from schemas.ids import new_id
from storage import access, tenants
from storage.database import Database

SHORTEST_PASSWORD = 15
"""NIST SP 800-63B-4 asks for 15 characters where the password is all there is."""


def create_account(database: Database, login: str, password: str, role: Role, tenant_ids: list[str]) -> UUID:
    """Make an account for a person.

    Raises:
        TenancyRefused: the login is taken or no login, the password is short, the role cannot sign in, or a tenant is unknown.
    """
    if role is Role.PRODUCER:
        raise TenancyRefused("a producer is a machine: make a key with `assay keys create` instead")
    # The names of keys in the audit begin so: a person must not pass for one.
    if not login or login.startswith(NAMED_BY_KEY) or any(c.isspace() or not c.isprintable() for c in login):
        raise TenancyRefused(
            f"{login!r} is no login; use letters, digits and signs without spaces, e.g. an e-mail address"
        )
    if len(login) > 100:
        raise TenancyRefused("the login is longer than 100 characters")
    check_password(password)
    if not tenant_ids:
        raise TenancyRefused("name at least one tenant that the account may see")
    account_id = new_id()
    with database.system() as connection:
        for tenant_id in tenant_ids:
            if not tenants.exists(connection, tenant_id):
                raise TenancyRefused(
                    f"there is no tenant {tenant_id!r}; make it with `assay tenants create {tenant_id}`"
                )
        made = access.insert_account(
            connection, account_id, login, role=role.value, tenants=tenant_ids, password_hash=passwords.hashed(password)
        )
    if not made:
        raise TenancyRefused(f"there is an account {login!r} already")
    return account_id


def check_password(password: str) -> None:
    """Refuse one that is too short.

    Raises:
        TenancyRefused: it is.
    """
    if len(password) < SHORTEST_PASSWORD:
        raise TenancyRefused(f"the password has fewer than {SHORTEST_PASSWORD} characters")
    if password.startswith(KEY_PREFIX):
        raise TenancyRefused(f"a password must not begin with {KEY_PREFIX!r}: it would be taken for a key")


def list_accounts(database: Database) -> list[dict[str, Any]]:
    """Every account, without its password."""
    with database.system() as connection:
        return access.all_accounts(connection)


def set_password(database: Database, login: str, password: str) -> None:
    """Another password; whoever is signed in with the account is signed out.

    Raises:
        TenancyRefused: it is too short.
        NotFound: there is no such account.
    """
    check_password(password)
    with database.system() as connection:
        found = access.set_password(connection, login, passwords.hashed(password))
    if not found:
        raise NotFound(f"There is no account {login!r}.")


def close_account(database: Database, login: str) -> None:
    """Close an account; its sessions end at once.

    Raises:
        NotFound: there is no such account, or it was closed before.
    """
    with database.system() as connection:
        found = access.disable_account(connection, login)
    if not found:
        raise NotFound(f"There is no account {login!r}, or it was closed already.")
