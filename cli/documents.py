"""Documents as the command line gets them: a file, standard input, or JSONL; refused early where they cannot be one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cli.errors import wrong_usage

STANDARD_INPUT = "-"
_SKIP_BYTES = 1024 * 1024


def read_document(name: str) -> str:
    """The text of one document.

    Raises:
        Stop: it cannot be opened, is too long, is empty or is not UTF-8.
    """
    from schemas.text import MAX_TEXT_CHARS

    most = MAX_TEXT_CHARS * 4  # bytes of that many characters, at most
    with opened(name) as stream:
        content = stream.read(most + 1)
    where = _shown(name)
    if len(content) > most:
        raise wrong_usage(f"{where} has more than {MAX_TEXT_CHARS:,} characters, the most that one document may have.")
    if not content.strip():
        raise wrong_usage(f"{where} is empty; give a document with at least one visible character.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong_usage(f"{where} is not UTF-8 (byte {error.start + 1}); convert it to UTF-8.") from None


def read_json(name: str, what: str) -> object:
    """A JSON value from a file, for an option.

    Raises:
        Stop: it cannot be opened or is not JSON.
    """
    import json

    with opened(name) as stream:
        content = stream.read()
    try:
        return json.loads(content)
    except UnicodeDecodeError:
        raise wrong_usage(f"{_shown(name)}, given as {what}, is not UTF-8.") from None
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise wrong_usage(f"{_shown(name)}, given as {what}, is not JSON{where}.") from None


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a JSONL input, none of them much longer than is accepted: the rest of such a line is read past."""
    from jobs.submit import MAX_LINE_BYTES

    while line := stream.readline(MAX_LINE_BYTES + 2):
        whole = line.endswith(b"\n")
        while not whole and (rest := stream.readline(_SKIP_BYTES)):
            whole = rest.endswith(b"\n")
        yield line


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """A file, or standard input for ``-``, as bytes.

    Raises:
        Stop: it cannot be opened.
    """
    if name == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    path = Path(name)
    if path.is_dir():
        raise wrong_usage(f"{name} is a directory; give a file.")
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise wrong_usage(f"There is no file {name}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise wrong_usage(f"{name} cannot be read: {reason.lower()}.") from None
    with stream:
        yield stream


def _shown(name: str) -> str:
    return "Standard input" if name == STANDARD_INPUT else name
