"""Small dockets, of verdicts made up by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from agents.consensus.council import Council, Cut
from agents.verdicts import VERDICTS
from features.admission import SPELLINGS
from serving.threats.docket import Docket

MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)


def verdicts(*hosts: str, nats: float = 12.0) -> pl.DataFrame:
    """A verdict on each host, hours apart, each a tenth of a nat stronger than the one before; odd ones are of dns."""
    rows = [
        {
            "source": "log",
            "line": seq,
            "seq": seq,
            "time": MORNING + timedelta(hours=5 * seq),
            "domain": ("endpoint", "dns")[seq % 2],
            "uid": f"u{seq}",
            "activity": "launch",
            "host": host,
            "p": float(np.exp(-nats)),
            "evidence": nats + seq / 10,
            "reasons": [{"field": "program", "value": f"{host}.exe", "nats": nats}],
        }
        for seq, host in enumerate(hosts)
    ]
    return pl.DataFrame(rows, schema=VERDICTS)


def docket(*hosts: str) -> Docket:
    """A docket of a threat a host; the first is critical, and logs write all in capitals."""
    council = Council()
    council.hear(verdicts(*hosts))
    written = pl.DataFrame([("host", host, host.upper()) for host in (*hosts, "else")], schema=SPELLINGS, orient="row")
    return Docket(council, written, {("host", hosts[0]): 2.5}, len(hosts), 7, Cut(0.05, 3))
