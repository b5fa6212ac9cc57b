"""Assets: what people state of how critical users, hosts and addresses are, in a CSV file."""

import csv
import ipaddress
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import polars as pl

from features import entities
from features.mistakes import FoundWrong

#: The columns of the file, in any order.
COLUMNS = ("kind", "name", "nats")
#: Nats that may be stated at most, for or against.
MOST = 10.0

#: How the names of each kind are written in events.
_WRITING: Mapping[str, Callable[[pl.Expr], pl.Expr]] = {
    "user": entities.user,
    "host": entities.host,
    "address": entities.address,
}


class AssetsRefused(FoundWrong):
    """A file of assets is not what it should be; the text names the file, the line, the column and the value."""


def read_assets(path: Path) -> dict[tuple[str, str], float]:
    """Criticality in nats by kind and name, as `Guidance` takes it, names written as in events. Raises AssetsRefused.

    The file has the columns kind (user, host or address), name, and nats from -10 to 10, each entity once.
    """
    stated: dict[tuple[str, str], float] = {}
    lines: dict[tuple[str, str], int] = {}
    for line, row in _rows(path):
        where = f"{path} line {line}"
        entity = _kind(where, row), _name(where, row)
        if entity in lines:
            raise AssetsRefused(f"{where}: {' '.join(entity)} is in line {lines[entity]}, too; expected each once")
        lines[entity], stated[entity] = line, _nats(where, row)
    return stated


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row by the number of its line, which counts from 1."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            heading = next(reader, [])
            if sorted(heading) != sorted(COLUMNS):
                raise AssetsRefused(
                    f"{path} line 1: expected the columns {','.join(COLUMNS)}, found {','.join(heading)!r}"
                )
            for cells in filter(None, reader):
                if len(cells) != len(heading):
                    raise AssetsRefused(f"{path} line {reader.line_num}: expected 3 cells, found {len(cells)}")
                yield reader.line_num, dict(zip(heading, cells, strict=True))
    except FileNotFoundError as error:
        raise AssetsRefused(f"{path}: no such file of assets") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AssetsRefused(f"{path}: expected lines of CSV in UTF-8 ({error})") from error


def _kind(where: str, row: Mapping[str, str]) -> str:
    if row["kind"] not in _WRITING:
        raise AssetsRefused(f"{where}, column 'kind': expected {', '.join(_WRITING)}, found {row['kind']!r}")
    return row["kind"]


def _name(where: str, row: Mapping[str, str]) -> str:
    name: str | None = pl.select(_WRITING[row["kind"]](pl.lit(row["name"]))).item()
    if name is None or (row["kind"] == "address" and not _is_address(name)):
        expected = "an IP address" if row["kind"] == "address" else f"the name of a {row['kind']}"
        raise AssetsRefused(f"{where}, column 'name': expected {expected}, found {row['name']!r}")
    return name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _nats(where: str, row: Mapping[str, str]) -> float:
    try:
        nats = float(row["nats"])
    except ValueError:
        nats = math.nan
    if not -MOST <= nats <= MOST:
        raise AssetsRefused(f"{where}, column 'nats': expected a number from -10 to 10, found {row['nats']!r}")
    return nats
