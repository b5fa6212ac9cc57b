"""What the shadow told last, as a file for whoever looks."""

from contextlib import suppress
from pathlib import Path

import msgspec

from features.whole_files import write_whole
from serving.folding.messages import Shadow


def keep(shadow: Shadow, var: Path) -> None:
    """Keep what it tells below `var`, in the place of what it told before."""
    page = msgspec.json.format(msgspec.json.encode(shadow), indent=1)
    write_whole(path_in(var), lambda file: file.write(page))


def kept(var: Path) -> Shadow | None:
    """What is kept below `var`, if anything is."""
    with suppress(FileNotFoundError, msgspec.MsgspecError):
        return msgspec.json.decode(path_in(var).read_bytes(), type=Shadow)
    return None


def remove(var: Path) -> None:
    """Keep nothing: no shadow is at work."""
    path_in(var).unlink(missing_ok=True)


def path_in(var: Path) -> Path:
    """Where it is."""
    return var / "shadow.json"
