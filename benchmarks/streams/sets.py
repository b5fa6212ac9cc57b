"""Every data set of the table by its name."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmarks.streams import accounts, dns, hosts, network
from benchmarks.streams.stream import Stream

#: How each set is read; raises OSError or UnreadablePath where its files are absent.
SETS: Mapping[str, Callable[[Path], Stream]] = {
    **{f"iot23 {name}": partial(network.iot23, capture=name) for name in ("20-1", "34-1", "44-1")},
    **{f"stratosphere {day}": partial(network.stratosphere, day=day) for day in ("008", "011")},
    **{f"westermo {tap}": partial(network.westermo, tap=tap) for tap in ("left", "right", "bottom")},
    "ctu_sme11": network.benign_day,
    "darpa": network.darpa,
    "dga names": dns.generated,
    **{f"dns tunnel {kind}": partial(dns.tunnel, kind=kind) for kind in ("iodine", "dnscat2")},
    "otrf": hosts.windows,
    "o365": accounts.office365,
    "aws": accounts.aws,
    **{f"ait_ads {name}": partial(hosts.alerts, network=name) for name in ("fox", "santos", "wardbeck")},
    "estate": hosts.estate,
}
