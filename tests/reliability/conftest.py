"""What the tests of reliability share: a service at work, and keys to it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from secrets import token_bytes

import pytest

from serving.access.keys import add, keys_path
from serving.access.policy import Role
from tests.reliability.service_process import ServiceProcess, at_work
from tests.serving.posting import home_of


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service that needs a key, and has one that may do anything; who uses it leaves it at work."""
    home = home_of(tmp_path_factory.mktemp("service") / "home")
    key = add(keys_path(home), "tester", Role.ADMIN, datetime.now(UTC), token_bytes)
    with at_work(home, key) as service:
        yield service


@pytest.fixture
def key_for(service: ServiceProcess) -> Callable[[str], str]:
    """Makes a key for a principal who may post."""
    return lambda name: add(keys_path(service.home), name, Role.INGEST, datetime.now(UTC), token_bytes)
