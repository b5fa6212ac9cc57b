"""How much of an event log a forgetting is about."""

from contextlib import closing
from pathlib import Path

from serving.folding.acts import Forgetting
from serving.stream.log_reader import LogReader


def forgotten_events(path: Path, gone: Forgetting) -> int:
    """How many events in the log at `path` are to be forgotten; reads all of it from there on.

    Raises NoLog, DamagedLog and LogUnwritable.
    """
    events = 0
    with closing(LogReader(path)) as log:
        place = log.place(min(gone.since - 1, log.head().position))
        while kept := log.read(place):
            place = kept[-1].place
            sent = (one.entry for one in kept)
            events += sum(one.events for one in sent if (one.principal, one.tenant) == (gone.principal, gone.tenant))
    return events
