"""What a long job keeps of its work on the way, so that the same command goes on where it stopped."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from features.memory import State
from models import bundle
from models.bundle import JSON, Bundle, BundleRefused

#: What to tell somebody who stopped a job.
GO_ON = "the same command goes on where it stopped"


@dataclass(frozen=True)
class Checkpoints:
    """The newest step of some work, as a bundle below `folder`; an older one goes when the next is whole."""

    folder: Path

    def keep(self, step: int, arrays: State, manifest: Mapping[str, JSON]) -> None:
        """Keep what was reached at `step`. Raises OSError where there is no room, ValueError as `bundle.write`."""
        new = self.folder / f"{step:06}"
        shutil.rmtree(new, ignore_errors=True)
        bundle.write(new, arrays, manifest)
        for old in self._steps():
            if old != new:
                shutil.rmtree(old, ignore_errors=True)

    def latest(self) -> Bundle | None:
        """The newest step that is whole; one that was cut short is passed over."""
        for step in sorted(self._steps(), reverse=True):
            try:
                return bundle.read(step)
            except BundleRefused:
                continue
        return None

    def _steps(self) -> list[Path]:
        return [path for path in self.folder.glob("[0-9]*") if path.is_dir()] if self.folder.exists() else []


@contextmanager
def resumable(folder: Path) -> Iterator[Path]:
    """`folder` for what a job keeps on the way: there when the job is stopped or fails, gone when it is done.

    A job that kept nothing leaves no folder either.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # not empty: what is kept is in it
            for path in made:
                path.rmdir()
        raise
    shutil.rmtree(folder, ignore_errors=True)
