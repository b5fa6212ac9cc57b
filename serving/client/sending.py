"""Sends the events of logs to a scoring endpoint, now or as the logs grow, and goes on where it stopped."""

import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from features.following import Follower
from features.growing import Growing
from features.positions import Positions
from features.reading import Chunk, candidates_of
from serving.api.told import ARROW, Taken
from serving.client.client import Client
from serving.say import Pause, Say

#: Events that are sent together, and bytes of them.
BATCH_EVENTS, BATCH_BYTES = 5000, 16 << 20
#: Seconds between two looks at logs that may grow.
POLL_SECONDS = 0.5


@dataclass
class Sent:
    """How much was sent: events, how many of them the endpoint had before, and records that are no events."""

    events: int = 0
    repeated: int = 0
    refused: int = 0


def send(
    paths: Sequence[str], client: Client, places: Path, *, pause: Pause, say: Say, format: str = "auto", follow: bool
) -> Sent:
    """Send what is in `paths` and, if `follow`, what will be, until `pause` says so.

    `places` says how far each log was sent, and is replaced after each part that the endpoint has. What was sent just
    before a crash is sent again, and the endpoint knows events that it has. Raises NotTaken, UnknownFormat,
    DamagedPositions, and UnreadablePath.
    """
    positions, sent = Positions.load(places) if places.exists() else Positions(places), Sent()
    follower = Follower(paths, positions, (places,))
    growing = Growing(follower, candidates_of(format))
    with closing(follower):
        while True:
            is_quiet = True
            for chunk in growing.poll():
                is_quiet = False
                _post(chunk, client, sent, say)
                growing.taken()
                positions.save()
                if pause(0):
                    return sent
            if (is_quiet and not follow) or pause(POLL_SECONDS if follow else 0):
                return sent


def _post(chunk: Chunk, client: Client, sent: Sent, say: Say) -> None:
    for reason in chunk.refused["reason"].unique(maintain_order=True).head(3):
        say([f"{chunk.refused['source'][0]}: {reason}"], "refused")
    sent.refused += chunk.refused.height
    for frame in chunk.events.values():
        for start in range(0, frame.height, BATCH_EVENTS):
            for body in _bodies(frame[start : start + BATCH_EVENTS]):
                count(client.post(body, kind=ARROW), sent, say)


def _bodies(events: pl.DataFrame) -> Iterator[bytes]:
    """A batch as a body, or as several where its texts are long."""
    body, half = streamed(events), events.height // 2
    if len(body) <= BATCH_BYTES or not half:
        yield body
    else:
        yield from _bodies(events[:half])
        yield from _bodies(events[half:])


def count(taken: Taken, sent: Sent, say: Say) -> None:
    """Add what became of a batch; an endpoint of another version may refuse events that could be read here."""
    sent.events += taken.accepted + taken.known
    sent.repeated += taken.known + (taken.accepted if taken.repeated else 0)
    sent.refused += taken.refused_count
    for refusal in taken.refused[:3]:
        say([f"refused there: {refusal.field} {refusal.value}: {refusal.reason}"], "refused")


def streamed(events: pl.DataFrame) -> bytes:
    """Events of one domain as an Arrow stream."""
    stream = io.BytesIO()
    events.rechunk().write_ipc_stream(stream, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()
