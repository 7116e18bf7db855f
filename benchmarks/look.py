"""A connection for looking at what the systems do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg


class Look:
    """Reads progress and results; counts its own transactions, so that they are not taken for a system's."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self.transactions = 0

    def run(self, statement: LiteralString, *parameters: object) -> None:
        """A statement without rows."""
        self.transactions += 1
        self._connection.execute(statement, parameters or None)

    def rows(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """A query's rows."""
        self.transactions += 1
        return self._connection.execute(statement, parameters or None).fetchall()

    def number(self, statement: LiteralString, *parameters: object) -> int:
        """A query's one number."""
        return int(self.rows(statement, *parameters)[0][0])


@contextmanager
def looking(url: str) -> Iterator[Look]:
    """Look into the database of that URL; every statement is a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield Look(connection)
