"""The documenting process: a report of every threat that is listed.

    python -m serving.folding.documenting HOME DESCRIPTOR

It follows the last ranking, which the detector keeps, and neither waits for the other.
"""

import sys
from pathlib import Path

from serving.folding.paperwork import REPORTS, work
from serving.threats.recorded import recorded
from serving.threats.reports import report


def write(record: bytes) -> bytes:
    """A report as Markdown, from a threat's record as JSON."""
    return report(recorded(record)).encode()


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]), REPORTS, write)
