"""Two ways to Assay: over the API where ASSAY_URL is set, else over the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from cli.connect import Connection, check_tenant, complete_settings, opened, read_settings
from cli.errors import wrong_usage
from cli.options import DEFAULT_TENANT

if TYPE_CHECKING:
    from cli.api import Api

Service = TypeVar("Service")


@contextmanager
def reached(
    tenant: str, over_http: "Callable[[Api], Service]", over_database: Callable[[Connection], Service]
) -> Iterator[Service]:
    """Whichever the settings name.

    Raises:
        Stop: a tenant is named beside a key, which has its own; neither way is known.
    """
    settings = read_settings()
    if settings.url is not None:
        if tenant != DEFAULT_TENANT:
            raise wrong_usage("Over the API the key decides whose data it is: leave --tenant out, or unset ASSAY_URL.")
        from cli.api import opened_api

        with opened_api(settings.url, settings.api_key) as api:
            yield over_http(api)
        return
    with opened(complete_settings()) as connection:
        check_tenant(connection, tenant)
        yield over_database(connection)
