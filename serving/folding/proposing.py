"""The proposing process: what could be done about every threat that is listed.

    python -m serving.folding.proposing HOME DESCRIPTOR

It follows the last ranking, which the detector keeps, and neither waits for the other.
"""

import sys
from pathlib import Path

import msgspec

from serving.folding.paperwork import PROPOSALS, work
from serving.threats.proposals import proposals
from serving.threats.recorded import recorded


def write(record: bytes) -> bytes:
    """Proposals as JSON, from a threat's record as JSON."""
    threat = recorded(record)
    return msgspec.json.encode({"threat": threat.id, "proposals": proposals(threat)})


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]), PROPOSALS, write)
