"""Alembic's environment: the connection is handed over by ``storage.migrate``, which also ends its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
