"""``python -m tests.fuzz [CASES] [SEED]``: 10,000 requests that Schemathesis makes up, against the API on a real server."""

import os
import sys
import tempfile
from pathlib import Path

from schemas.settings import Settings
from stack.up import running_services
from storage.database import Database
from storage.migrate import migrate
from tests.event_world import Web
from tests.fuzz.run import fuzz, prepare
from web.api.documents import document
from web.app import make_app

CASES = 10_000


def main(cases: int, seed: int) -> int:
    """Run until so many cases were sent; the exit code."""
    with (
        tempfile.TemporaryDirectory() as home,
        running_services(Settings(home=Path(home)), echo=lambda _line: None) as up,
    ):
        assert up.connections.database_admin_url is not None
        app_url = migrate(up.connections.database_admin_url, app_password="only-for-this")
        assert app_url is not None
        database = Database(app_url)
        settings = Settings(
            home=Path(home),
            database_url=app_url,
            redis_url=up.connections.broker_url,
            web_requests_per_minute=10_000_000,
        )
        app = make_app(settings)
        operations = sum(len(item) for item in document(app)["paths"].values())
        stage = prepare(database)
        database.close()
        with Web(app) as web:
            found = fuzz(f"http://127.0.0.1:{web.port}", stage, each=-(-cases // operations), seed=seed)
    sys.stdout.write(found.output)
    sys.stdout.write(f"{found.cases} cases over {operations} operations, seed {seed}, load {os.getloadavg()[0]:.1f}\n")
    if found.cases < cases:
        sys.stdout.write(f"fewer than {cases}: not enough was made up\n")
        return 1
    return int(found.failed)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(numbers + [CASES, 1][len(numbers) :])))
