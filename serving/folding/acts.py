"""Acts: what entries of the event log say that are no events."""

import msgspec


class Promotion(msgspec.Struct, frozen=True):
    """From the next event on, this release scores."""

    release: int


class Decision(msgspec.Struct, frozen=True):
    """Whether a threat, as it is ranked at this position, is true; None takes back what the same analyst said."""

    threat: str
    is_true: bool | None
    reason: str


class Forgetting(msgspec.Struct, frozen=True):
    """What this principal of this tenant sent from this position on is as if it had never come."""

    principal: str
    tenant: str
    since: int
