"""Fixtures of all tests: a real database that keeps its data, real Redis, and real servers as processes."""

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
    """Create the test database for all tests; pytest-django's fixture creates it only for tests with its mark."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
    yield
    with django_db_blocker.unblock():
        # Database sessions of a killed server last a moment longer.
        with connection.cursor() as cursor:
            cursor.execute(END_OTHERS)
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="session", autouse=True)
def open_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Open the test database for the whole run. Tests commit, each with its own users; nothing is rolled back."""
    thread_client().flushdb()
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def server(open_database: None) -> Iterator[Server]:
    """A web process on uvicorn with high rate limits, shared by all tests that do not stop it."""
    with serve(settings.DATABASES["default"]["NAME"]) as running:
        yield running


@pytest.fixture(scope="session", params=["uvicorn", "daphne"])
def either_server(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    """A web process on each of the two ASGI servers, for behaviour that both must have."""
    with serve(settings.DATABASES["default"]["NAME"], PARLEY_SERVER=request.param) as running:
        yield running
