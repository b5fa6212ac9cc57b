"""An installation is of one tenant for good."""

from contextlib import closing
from pathlib import Path

import pytest

from models.home import Home
from serving.access.keys import KeyAsked
from serving.access.tenancy import OtherTenant, claim
from serving.stream.event_log import EventLog


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path)


@pytest.mark.parametrize("tenant", ["main", "acme"])
def test_whoever_comes_first_may_come_again_and_nobody_else(home: Home, tenant: str) -> None:
    claim(home, tenant)
    claim(home, tenant)
    with pytest.raises(OtherTenant, match=f"of the tenant '{tenant}', not 'another'"):
        claim(home, "another")


def test_events_that_were_there_before_are_of_main(home: Home) -> None:
    with closing(EventLog(home.var / "events.db")):
        pass
    with pytest.raises(OtherTenant):
        claim(home, "acme")
    claim(home, "main")


@pytest.mark.parametrize("tenant", ["", "a b", "ACME", "../x"])
def test_a_name_that_could_be_misread_is_refused(home: Home, tenant: str) -> None:
    with pytest.raises(KeyAsked, match="tenant"):
        claim(home, tenant)
    assert not home.var.exists()
