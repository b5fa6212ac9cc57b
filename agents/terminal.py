"""What commands say on a terminal: progress, warnings, failures, and nothing that could steer it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from features.mistakes import AskedWrong, FoundWrong

#: Hears of a step, how much of it is done, and of how much, where that is known.
Told = Callable[[str, int, int | None], None]

_STOPPED = 130  # what shells say of a command that Ctrl-C stopped


def inert(text: str) -> str:
    r"""`text` with everything that could steer a terminal spelled out.

    >>> print(inert("\x1b[31mred"))
    \x1b[31mred
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def warn(lines: Iterable[str], kind: str = "warning") -> None:
    """Say each of `lines` beside the output."""
    for line in lines:
        typer.echo(f"{kind}: {inert(line)}", err=True)


def fail(text: str, code: int) -> NoReturn:
    """Say in one line what is wrong, and end the command: code 2 for what was asked, 1 for what was found."""
    warn([text], "error")
    raise typer.Exit(code)


@contextmanager
def in_plain_words(after_stop: str) -> Iterator[None]:
    """Turn what a user can mend into one line and an exit code; `after_stop` says how to go on after Ctrl-C."""
    try:
        yield
    except AskedWrong as error:
        fail(str(error), code=2)
    except FoundWrong as error:
        fail(str(error), code=1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}; make room or rights for it and try again", code=1)
    except KeyboardInterrupt:
        typer.echo(f"stopped; {after_stop}", err=True)
        raise typer.Exit(_STOPPED) from None


@contextmanager
def bars() -> Iterator[Told]:
    """A bar for each step on the terminal; silent where there is none."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def told(step: str, done: int, whole: int | None) -> None:
            if step not in tasks:
                for task in tasks.values():
                    progress.stop_task(task)
                tasks[step] = progress.add_task(step, total=None)
            progress.update(tasks[step], completed=done, total=whole)

        yield told
