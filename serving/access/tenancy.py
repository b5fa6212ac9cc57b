"""Whose an installation is: what one tenant's events made is never shown to another."""

from pathlib import Path

from features.mistakes import AskedWrong
from features.whole_files import write_whole
from models.home import Home
from serving.access.keys import check_name
from serving.access.policy import MAIN


class OtherTenant(AskedWrong):
    """The installation is another tenant's; the text names both and the remedy."""


def claim(home: Home, tenant: str) -> None:
    """Have an installation be of that tenant for good; one that has events already and says nothing is of MAIN.

    Raises OtherTenant, and KeyAsked for a name that no tenant can have.
    """
    check_name("tenant", tenant)
    path = home.var / "tenant"
    if (owner := _owner(home, path)) is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: file.write(tenant.encode()))
    elif owner != tenant:
        raise OtherTenant(f"{home.var}: of the tenant {owner!r}, not {tenant!r}: serve each from a --home of its own")


def _owner(home: Home, path: Path) -> str | None:
    if path.exists():
        return path.read_text()
    return MAIN if (home.var / "events.db").exists() else None
