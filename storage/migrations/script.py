"""Run a migration that is written as SQL: partitions, policies and grants say what they mean best in SQL."""

from importlib import resources

from alembic import op


def run_script(name: str) -> None:
    """Run a file of ``versions/`` in the migration's transaction."""
    script = (resources.files("storage") / "migrations/versions" / name).read_text(encoding="utf-8")
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    # Without parameters psycopg sends the text as it is, so that it may hold many statements.
    driver.execute(script)
