"""The event log folded again: to an earlier position, or without what somebody sent."""

from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from agents.terminal import Told
from features.mistakes import AskedWrong
from models.registry import Registry
from serving.folding.acts import Forgetting
from serving.folding.detector import forgotten_in
from serving.folding.fold import Fold
from serving.folding.forgetting import forgotten_events
from serving.stream.event_log import EventLog
from serving.stream.log_entries import START, Entry, KeyTaken, Kind
from serving.stream.log_reader import LogReader


class NothingThere(AskedWrong):
    """The log has no such position, or nothing of that principal."""


def replayed(path: Path, registry: Registry, to: int, told: Told = lambda step, done, whole: None) -> Fold:
    """The fold of a log up to a position, without what the log says, there or later, should be forgotten.

    Raises NothingThere, NoLog, DamagedLog, and what loading a release raises.
    """
    with closing(LogReader(path)) as log:
        if to > (head := log.head().position):
            raise NothingThere(f"{path}: there is no position {to}; the last one is {head}")
        fold = Fold(registry, forgotten_in(log, START))
        while fold.place.position < to:
            fold.take(log.read(fold.place, most_entries=min(256, to - fold.place.position)))
            told("folding", fold.place.position, to)
    return fold


def forget(path: Path, principal: str, tenant: str, since: int, now: datetime) -> tuple[int, int]:
    """Have a log say that what somebody sent from a position on should be forgotten; where it says so, and how much.

    Raises NothingThere, NoLog, LogInUse, LogUnwritable and DamagedLog.
    """
    gone = Forgetting(principal, tenant, since)
    if not (events := forgotten_events(path, gone)):
        raise NothingThere(f"{path}: {principal!r} of {tenant!r} sent nothing from position {since} on")
    with closing(EventLog(path)) as log:
        (receipt,) = log.append([Entry(Kind.FORGET, now, principal, tenant, msgspec.json.encode(gone))])
    if isinstance(receipt, KeyTaken):
        raise receipt
    return receipt.position, events
