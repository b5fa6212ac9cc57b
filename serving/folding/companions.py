"""The detector's companions: processes that read what it makes or what it reads, and that nothing waits for."""

import threading
from collections.abc import Callable
from functools import partial

from models.home import Home
from serving.folding import last_shadow
from serving.folding.messages import Challenged, Ranked, Said, ToDoor
from serving.folding.process import Attended
from serving.say import Say

#: What writes of the threats that are listed.
WRITERS = ("proposing", "documenting")

#: Seconds until a companion starts: a service that starts has better use for the processor; and until it is killed if
#: it does not end when it is told to: it has nothing to lose.
_WRITERS_BREATH, _SHADOWS_BREATH, _PATIENCE = 2.0, 5.0, 2.0


class Companions:
    """Starts each companion when there is work for it, and another one where one ended."""

    def __init__(self, home: Home, say: Say) -> None:
        self._home, self._say = home, say
        self._writers: list[Attended] = []
        self._shadow: Attended | None = None
        last_shadow.remove(home.var)  # of a service that was cut off

    def hear(self, message: ToDoor) -> None:
        """What the detector told: of threats somebody writes, and a challenger has a shadow."""
        match message:
            case Ranked(threats=threats) if threats and not self._writers:
                self._writers = [self._started(name, _WRITERS_BREATH) for name in WRITERS]
            case Challenged(release=release) if release is None and self._shadow is not None:
                threading.Thread(target=self._shadow.stop, name="end of the shadow", daemon=True).start()
                self._shadow = None
            case Challenged(release=release) if release is not None and self._shadow is None:
                self._shadow = self._started("shadow", _SHADOWS_BREATH, partial(last_shadow.remove, self._home.var))

    def stop(self) -> None:
        """Have all of them end."""
        for one in (*self._writers, *([self._shadow] if self._shadow else [])):
            one.stop()

    def _started(self, name: str, breath: float, lost: Callable[[], object] = lambda: None) -> Attended:
        module, home, say = f"serving.folding.{name}", self._home, self._say
        one = Attended(module, name, home, say, self._tell, lost=lost, patience=_PATIENCE, breath=breath)
        one.start()
        return one

    def _tell(self, message: ToDoor) -> None:
        if isinstance(message, Said):
            self._say(message.lines, message.kind)
