"""What the scoring endpoint tells and is told, as its clients see it in JSON."""

from typing import Annotated, Any

import msgspec

from serving.access.audit_lines import Line, Mark
from serving.folding.messages import Shadow, Watch

#: The media type of an Arrow stream.
ARROW = "application/vnd.apache.arrow.stream"


class Refusal(msgspec.Struct, frozen=True):
    """A record that could not be read: its line, counted from 0 (null: all of it), and what is wrong with what."""

    line: int | None
    field: str | None
    value: str | None
    reason: str


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a post: how many of its events are new in the log, at which entry, and what was refused of it.

    `first` is the number of its first event, and `known` counts the events that had come before; `repeated` says that
    this is the answer to an earlier post with the same key. `verdicts` are there if they were asked for: null if they
    took too long, or if any event had come before.
    """

    accepted: int = 0
    known: int = 0
    position: int = 0
    first: int = 0
    repeated: bool = False
    refused_count: int
    refused: list[Refusal]
    verdicts: Any | msgspec.UnsetType = msgspec.UNSET


class Ranking(msgspec.Struct, frozen=True):
    """The threats that are ranked, the worst first, as of a position of the log and so many events."""

    position: int
    events: int
    threats: list[dict[str, Any]]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an analyst says of a threat: whether it is true, null to take an earlier answer back, and why."""

    is_true: bool | None
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class ToForget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose events should be as if they had never come, from which position of the log on, and why.

    The tenant can only be the one that is served.
    """

    principal: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    since: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    tenant: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


class Decided(msgspec.Struct, frozen=True):
    """Where a decision is in the log, and whether it was there before."""

    position: int
    repeated: bool


class Audited(msgspec.Struct, frozen=True):
    """Lines of the audit behind the first `after`, the newest last, and the mark of all of it: keep that elsewhere."""

    mark: Mark
    after: int
    entries: list[Line]


class Agents(msgspec.Struct, frozen=True):
    """The agents as of a position of the log, and the release that scores."""

    position: int
    release: int | None
    agents: list[Watch]


class Release(msgspec.Struct, frozen=True):
    """The release that scores, the newest that cannot be used, if any, and the position this is as of.

    `shadow` is how the one that waits does beside it, where there is one.
    """

    release: int | None
    refused: int | None
    position: int
    shadow: Shadow | msgspec.UnsetType = msgspec.UNSET


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str = "ok"


class Ready(msgspec.Struct, frozen=True):
    """Events are taken and scored: the position of the log, and how many events are in it, scored, and ranked."""

    position: int
    events: int
    detected: int
    ranked: int
    status: str = "ready"
