"""How what works in the background tells whoever runs it, and is told to stop."""

from collections.abc import Callable, Iterable

#: Hears lines for the user, and of which kind they are.
Say = Callable[[Iterable[str], str], None]
#: Waits so many seconds, and tells whether to stop.
Pause = Callable[[float], bool]
