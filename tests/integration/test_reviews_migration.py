"""The desk comes to a database in which reviews wait already, and in which workers of the release before go on."""

import dataclasses
import json
from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from schemas.ids import new_id
from storage import migrate
from storage.database import sqlalchemy_url
from tests.house import House

_WAITING = """
INSERT INTO jobs (id, tenant_id, task, state, fallback, priority, deadline)
VALUES ('{job}', 'default', 'classify', 'in_review', 'person', 1, '2031-01-01 00:00+00');
INSERT INTO attempts (job_id, number, tenant_id, fence, actor, purpose, prompt_version, prompt_digest, tier, model, request)
VALUES ('{job}', 1, 'default', 1, 'w', 'first', 'v1', 'd', 'small', 'm', '{{}}');
INSERT INTO reviews (job_id, tenant_id, task, reason, detail, suggestion)
VALUES ('{job}', 'default', 'classify', 'ungrounded', 'x', {suggestion})
"""
_PLACES = "SELECT due_at = '2031-01-01 00:00+00', priority, attempts, rank, cluster FROM reviews WHERE job_id = %s"


_GIVE_AWAY = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO {owner}', name);
    END LOOP;
    FOR name IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO {owner}', name);
    END LOOP;
END $$
"""


@pytest.fixture
def keepers(house: House) -> Iterator[House]:
    """A database of the release before, whose tables belong to somebody who is no superuser: row-level security binds them."""
    name = f"keeper_{new_id().hex[-12:]}"
    with psycopg.connect(house.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
    admin = f"{house.admin_url.rpartition('/')[0]}/{name}"
    upgrade(admin, "0003")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(_GIVE_AWAY.format(owner=name).encode())
    address = house.app_url.rpartition("@")[2].rpartition("/")[0]
    yield dataclasses.replace(
        house,
        app_url=f"postgresql://{name}:x@{address}/{name}",
        admin_url=f"{house.admin_url.rpartition('/')[0]}/{name}",
    )
    with psycopg.connect(house.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def upgrade(url: str, revision: str) -> None:
    """Bring the tables to this revision with this login."""
    with create_engine(sqlalchemy_url(url), poolclass=NullPool).connect() as connection:
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def test_what_waits_gets_its_place(keepers: House) -> None:
    """A review from before has the same place as one that the statement of the release before writes afterwards, and the owner
    is bound by row-level security as before."""
    before, after = new_id(), new_id()
    suggestion = f"'{json.dumps({'outcome': 'x'})}'"
    keepers.run(_WAITING.format(job=before, suggestion=suggestion))
    upgrade(keepers.app_url, "0004")
    keepers.run(_WAITING.format(job=after, suggestion=suggestion))
    (place,) = keepers.query(_PLACES, before)
    assert place[:4] == (True, 1, 1, 978)
    assert keepers.query(_PLACES, after) == [place]
    assert keepers.query("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relrowsecurity AND NOT relforcerowsecurity"
                         " AND relnamespace = 'public'::regnamespace") == []  # fmt: skip
