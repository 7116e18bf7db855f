"""Who asks: keys, accounts and sessions against the real database."""

from collections.abc import Callable

import pytest

from jobs import access, accounts
from jobs.cancel import NotFound
from jobs.tenancy import TenancyRefused, create_key, revoke_key
from schemas.access import Principal, Role
from schemas.ids import new_id
from storage.database import Database
from tests.house import House, run_assay

PASSWORD = "a long and quiet word"


@pytest.fixture
def login(database: Database, tenant: str) -> str:
    """A reviewer of the test's tenant."""
    name = f"ada-{new_id().hex[-10:]}@example.com"
    accounts.create_account(database, name, PASSWORD, Role.REVIEWER, [tenant])
    return name


def test_a_key_opens_one_tenant_in_one_role(database: Database, tenant: str) -> None:
    """What a key was made for is who asks with it; any other text is nobody."""
    key_id, key = create_key(database, tenant, "nightly", "producer")
    assert access.by_key(database, key) == Principal(
        name="key:nightly", role=Role.PRODUCER, tenants=(tenant,), key_id=key_id
    )
    for wrong in ("", key[:-1], key.upper(), "assay_", key + "\ud800", "\x00"):
        assert access.by_key(database, wrong) is None


def test_a_revoked_or_expired_key_is_nobodys(house: House, database: Database, tenant: str) -> None:
    """Both hold at once."""
    key_id, key = create_key(database, tenant, "k", "operator")
    other_id, other = create_key(database, tenant, "k", "operator")
    revoke_key(database, key_id)
    house.run(f"UPDATE api_keys SET expires_at = now() WHERE id = '{other_id}'")
    assert access.by_key(database, key) is None
    assert access.by_key(database, other) is None


def test_a_key_is_not_stored_but_its_use_is(house: House, database: Database, tenant: str) -> None:
    """No column holds the key; when it was last used is known."""
    key_id, key = create_key(database, tenant, "k", "producer")
    assert house.query("SELECT used_at FROM api_keys WHERE id = %s", key_id) == [(None,)]
    access.by_key(database, key)
    ((row,),) = house.query("SELECT row_to_json(k)::text FROM api_keys k WHERE id = %s", key_id)
    assert key.removeprefix("assay_") not in row
    assert house.query("SELECT used_at IS NOT NULL FROM api_keys WHERE id = %s", key_id) == [(True,)]


def test_a_person_signs_in_and_out(database: Database, tenant: str, login: str) -> None:
    """A session is of the account, each sign-in is a new one, and signing out ends that one alone."""
    first, second = access.sign_in(database, login, PASSWORD), access.sign_in(database, login, PASSWORD)
    assert first is not None
    assert second is not None
    assert first != second
    signed_in = access.by_session(database, first)
    assert signed_in is not None
    assert (signed_in.principal.name, signed_in.principal.role, signed_in.principal.tenants) == (
        login, Role.REVIEWER, (tenant,),
    )  # fmt: skip
    access.sign_out(database, first)
    assert access.by_session(database, first) is None
    assert access.by_session(database, second) is not None


def test_a_key_stands_in_place_of_a_password(database: Database, tenant: str) -> None:
    """A reviewer's key signs in, whatever login is given; it ends with the key; a producer's key does not sign in."""
    key_id, key = create_key(database, tenant, "desk", "reviewer")
    token = access.sign_in(database, "anyone", key)
    assert token is not None
    signed_in = access.by_session(database, token)
    assert signed_in is not None
    assert signed_in.principal.name == "key:desk"
    revoke_key(database, key_id)
    assert access.by_session(database, token) is None
    _, producer = create_key(database, tenant, "machine", "producer")
    assert access.sign_in(database, "anyone", producer) is None


def test_wrong_passwords_lock_and_the_lock_ends(house: House, database: Database, login: str) -> None:
    """After five wrong ones even the right one must wait; wrong ones meanwhile do not prolong it; then it is let in."""
    for _ in range(5):
        assert access.sign_in(database, login, "wrong") is None
    assert access.sign_in(database, login, PASSWORD) is None
    until = house.query("SELECT locked_until, failed_logins FROM accounts WHERE login = %s", login)
    assert access.sign_in(database, login, "wrong") is None
    assert house.query("SELECT locked_until, failed_logins FROM accounts WHERE login = %s", login) == until
    house.run(f"UPDATE accounts SET locked_until = now() WHERE login = '{login}'")
    assert access.sign_in(database, login, PASSWORD) is not None
    assert house.query("SELECT locked_until, failed_logins FROM accounts WHERE login = %s", login) == [(None, 0)]


def test_nobody_signs_in_without_an_account(database: Database) -> None:
    """An unknown login is refused like a wrong password, whatever it holds."""
    for login in ("nobody", "", "\x00'; --"):
        assert access.sign_in(database, login.replace("\x00", ""), PASSWORD) is None


def test_an_idle_session_and_an_old_one_are_over(house: House, database: Database, login: str) -> None:
    """Two hours without a look, or the end of the day."""
    for column in ("seen_at", "ends_at"):
        token = access.sign_in(database, login, PASSWORD)
        assert token is not None
        house.run(f"UPDATE sessions SET {column} = {column} - interval '13 hours'")
        assert access.by_session(database, token) is None


@pytest.mark.parametrize("how", [accounts.close_account, lambda d, n: accounts.set_password(d, n, PASSWORD + "!")])
def test_sessions_end_with_the_account_or_its_password(
    database: Database, login: str, how: Callable[[Database, str], None]
) -> None:
    """Whoever is signed in is out at once."""
    token = access.sign_in(database, login, PASSWORD)
    assert token is not None
    how(database, login)
    assert access.by_session(database, token) is None
    assert access.sign_in(database, login, PASSWORD) is None


def test_accounts_that_cannot_be_made_say_why(database: Database, tenant: str, login: str) -> None:
    """Taken logins, short passwords, logins that look like keys, unknown tenants and producers are refused."""
    cases: list[tuple[str, str, Role, list[str], str]] = [
        (login, PASSWORD, Role.REVIEWER, [tenant], "already"),
        ("bob", "short", Role.REVIEWER, [tenant], "fewer than 15"),
        ("bob", "assay_" + "x" * 20, Role.REVIEWER, [tenant], "taken for a key"),
        ("key:nightly", PASSWORD, Role.REVIEWER, [tenant], "no login"),
        ("bob smith", PASSWORD, Role.REVIEWER, [tenant], "no login"),
        ("b\x00b", PASSWORD, Role.REVIEWER, [tenant], "no login"),
        ("b" * 101, PASSWORD, Role.REVIEWER, [tenant], "longer than 100"),
        ("bob", PASSWORD, Role.REVIEWER, [], "at least one tenant"),
        ("bob", PASSWORD, Role.REVIEWER, ["nowhere"], "no tenant 'nowhere'"),
        ("bob", PASSWORD, Role.PRODUCER, [tenant], "is a machine"),
    ]
    for name, password, role, tenants, said in cases:
        with pytest.raises(TenancyRefused, match=said):
            accounts.create_account(database, name, password, role, tenants)
    with pytest.raises(NotFound, match="no account 'bob'"):
        accounts.close_account(database, "bob")


def test_the_command_makes_lists_and_closes_accounts(house: House, database: Database, tenant: str) -> None:
    """`assay accounts`: the password comes from standard input and is in no output."""
    login = f"cy-{new_id().hex[-8:]}"
    word = PASSWORD.encode() + b"\n"
    made = run_assay(house, "accounts", "create", login, "--tenant", tenant, "--password-stdin", stdin=word)
    assert (made.returncode, made.stdout) == (0, f"account {login} made: reviewer of {tenant}\n"), made.stderr
    listed = run_assay(house, "accounts", "list", "--json").stdout
    assert login in listed
    assert "argon2" not in listed
    assert access.sign_in(database, login, PASSWORD) is not None
    changed = run_assay(house, "accounts", "password", login, "--password-stdin", stdin=b"short\n")
    assert (changed.returncode, "fewer than 15" in changed.stderr) == (2, True)
    assert run_assay(house, "accounts", "close", login).returncode == 0
    assert access.sign_in(database, login, PASSWORD) is None
    again = run_assay(house, "accounts", "close", login)
    assert (again.returncode, "closed already" in again.stderr) == (2, True)
