"""How much of what was read no column holds: a format that drifts, or was never understood, shows here first."""

from collections import Counter
from collections.abc import Mapping


class Coverage:
    """Counts of fields by format, and of those that no column reads, by name."""

    def __init__(self) -> None:
        self.fields: Counter[str] = Counter()
        self.unmapped: dict[str, Counter[str]] = {}

    def add(self, format: str, fields: int, unmapped: Mapping[str, int]) -> None:
        """Count what some lines of a format held."""
        self.fields[format] += fields
        self.unmapped.setdefault(format, Counter()).update(unmapped)

    def rate(self, format: str) -> float:
        """The share of a format's fields that no column reads, from 0 to 1."""
        return self.unmapped[format].total() / self.fields[format] if self.fields[format] else 0.0

    def in_words(self, most: int = 5) -> list[str]:
        """A line for each format that has fields in no column: the share, and the commonest names.

        >>> coverage = Coverage()
        >>> coverage.add("zeek", 40, {"vlan": 3, "inner_vlan": 1})
        >>> coverage.in_words()
        ['zeek: 10.0 % of the fields are in no column: vlan (3), inner_vlan (1)']
        """
        return [self._told(format, most) for format in sorted(self.fields) if self.unmapped[format]]

    def _told(self, format: str, most: int) -> str:
        unmapped = self.unmapped[format]
        commonest = sorted(unmapped.items(), key=lambda field: (-field[1], field[0]))[:most]
        names = ", ".join(f"{name} ({count:,})" for name, count in commonest)
        more = f" and {len(unmapped) - most:,} more" if len(unmapped) > most else ""
        return f"{format}: {100 * self.rate(format):.1f} % of the fields are in no column: {names}{more}"
