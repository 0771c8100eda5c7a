"""What every test stands on: a real database whose data stays, real Redis, real servers as processes of their own."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from pytest_django.plugin import DjangoDbBlocker

from gateway.redis_clients import thread_client
from tests.servers import Server, serve

END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Make the test database, whoever asks: pytest-django's own makes it for tests with its mark, and ours have none."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
    yield
    with django_db_blocker.unblock():
        # A server that was killed has sessions for a moment longer.
        with connection.cursor() as cursor:
            cursor.execute(END_OTHERS)
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="session", autouse=True)
def open_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Open the test database for the whole run: tests commit, each with people of its own; nothing is rolled back."""
    thread_client().flushdb()
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def server(open_database: None) -> Iterator[Server]:
    """A web process on uvicorn with high rate limits, shared by all tests that do not harm it."""
    with serve(settings.DATABASES["default"]["NAME"]) as running:
        yield running


@pytest.fixture(scope="session", params=["uvicorn", "daphne"])
def either_server(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    """A web process on each of the two ASGI servers: for what both must do alike."""
    with serve(settings.DATABASES["default"]["NAME"], PARLEY_SERVER=request.param) as running:
        yield running
