"""Where everything a run makes is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Home:
    """The two folders of an installation: `mlruns` holds models and their history, `var` all the rest."""

    mlruns: Path
    var: Path

    @classmethod
    def at(cls, path: Path | None) -> Self:
        """The home at `path`, or the one below the current directory.

        >>> Home.at(Path("/srv/mesh")).var == Path("/srv/mesh/var")
        True
        """
        root = Path.cwd() if path is None else path.absolute()
        return cls(mlruns=root / "mlruns", var=root / "var")
