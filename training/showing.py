"""The demo's ranking as a table, with what the truth says beside each threat."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from agents.consensus.threats import Threat
from agents.wording import shown, worded

_ROWS, _ENTITIES, _REASONS = 10, 3, 3


def table(threats: Sequence[Threat], truths: Sequence[str | None]) -> Table:
    """The first threats; texts from events cannot steer the terminal."""
    page = Table("rank", "score", "who, where and why", "what the truth says", show_lines=True, expand=True)
    page.columns[0].justify = page.columns[1].justify = "right"
    page.columns[0].min_width, page.columns[1].min_width = 4, 5
    page.columns[2].ratio, page.columns[3].ratio = 4, 1
    for threat, truth in list(zip(threats, truths, strict=True))[:_ROWS]:
        said = Text(shown(truth), "bold green") if truth else Text("no attack", "dim")
        page.add_row(str(threat.rank), f"{threat.score:.1f}", _told(threat), said)
    return page


def _told(threat: Threat) -> Text:
    who = ", ".join(f"{entity.kind} {shown(entity.name)}" for entity in threat.entities[:_ENTITIES])
    where = ", ".join(f"{domain} {nats:.1f}" for domain, nats in threat.domains.items())
    why = list(dict.fromkeys(f"{reason.nats:4.1f}  {worded(reason)}" for reason in threat.reasons))[:_REASONS]
    lines = [(where, ""), (", ".join(threat.tactics), "cyan"), *((reason, "dim") for reason in why)]
    return Text("\n").join([Text(who, "bold"), *(Text(line, style) for line, style in lines if line)])
