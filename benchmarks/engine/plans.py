"""The plans that the server chose, with what they touched: as prepared statements, like Assay's own connections have them."""

import re
from collections.abc import Mapping
from typing import Any

import psycopg

_NAMED = re.compile(r"%\((\w+)\)s")


def explained(connection: "psycopg.Connection[Any]", statement: str, parameters: Mapping[str, object]) -> str:
    """Run a statement with ``EXPLAIN (ANALYZE, BUFFERS)`` as a generic plan; what it did is rolled back by the caller.

    Args:
        connection: with the role and tenant set; ``plan_cache_mode`` is that of Assay's connections.
        statement: with ``%(name)s`` parameters, as Assay gives it to the driver.
    """
    names: list[str] = []

    def numbered(match: "re.Match[str]") -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    prepared = _NAMED.sub(numbered, statement)
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(f"PREPARE explained AS {prepared}".encode())
    try:
        values = ", ".join(f"%({name})s" for name in names)
        arguments = f"({values})" if names else ""
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, SUMMARY) EXECUTE explained{arguments}".encode(), dict(parameters))
        return "\n".join(row[0] for row in cursor.fetchall())
    finally:
        cursor.execute(b"DEALLOCATE explained")
