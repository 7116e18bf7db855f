"""What every test of webhooks starts from."""

from collections.abc import Iterator

import pytest

from storage.database import Database
from tests.api_world import serving
from tests.house import House
from tests.webhook_world import Receiver, receiving
from workers.webhooks import Messenger


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint: a real HTTP server."""
    with receiving() as found:
        yield found


@pytest.fixture
def messenger(database: Database) -> Iterator[Messenger]:
    """Sends when a test says so."""
    messenger = Messenger(database, private=True)
    yield messenger
    messenger.stop()


@pytest.fixture
def port(house: House) -> Iterator[int]:
    """Of the application."""
    with serving(house) as port:
        yield port
