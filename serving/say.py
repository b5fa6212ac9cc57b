"""How what works in the background tells whoever runs it."""

from collections.abc import Callable, Iterable

#: Hears lines for the user, and of which kind they are.
Say = Callable[[Iterable[str], str], None]
