"""Rankings made up by hand, as the detector tells them."""

import msgspec

from agents.consensus.threats import Threat
from serving.folding.messages import Ranked


def ranked(position: int, *threats: Threat) -> Ranked:
    """These threats, as of a position."""
    told = [(one.id, one.score, one.listed, msgspec.json.encode(one.record())) for one in threats]
    return Ranked(position, 10 * position, 1.7e9 + position, told)
