"""The foundation: tenancy, jobs, audit, reviews, workers.

Revision ID: 0001
"""

from importlib import resources

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL file beside this one: partitions, policies and grants say what they mean best in SQL."""
    script = (resources.files("storage") / "migrations/versions/0001_foundation.sql").read_text(encoding="utf-8")
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    # Without parameters psycopg sends the text as it is, so that it may hold many statements.
    driver.execute(script)


def downgrade() -> None:
    """Refused: it would delete every job and the audit."""
    raise RuntimeError("The foundation cannot be downgraded; restore a backup instead.")
