"""Cost of features on one core: by part, from 10^4 to 10^7 events, and the memory that a million entities take.

    POLARS_MAX_THREADS=1 taskset -c 0 python -m benchmarks.features [--data ../shared/data] [--output features.png]

Twenty words over the network agent's fields look at connections, from frames of strings to numbers. For longer streams
the events come again and again, each time later and under fresh names. For memory, all six agents look twice at an
estate's events in which every user, host and address is a new one. Seconds are those of the processor.
"""

import argparse
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from agents.agent import Agent
from agents.recipe import recipe_of
from agents.recipes.network import RECIPE
from benchmarks.streams import network
from features.clock import Clock
from features.distinct import worked_out
from features.events import Domain
from features.featurizer import SLOTS, Featurizer
from features.logs import Events, read_logs
from features.word import Look, Word
from features.words.burst import Burst
from features.words.fan import Fan
from features.words.rarity import Rarity
from training.simulation import simulate

_BATCH = 50_000
_LENGTHS = (10_000, 100_000, 1_000_000, 10_000_000)
_ENTITIES = 1_000_000
_NAMES = ("actor_user_name", "user_name", "device_hostname", "src_endpoint_ip")

WORDS: tuple[Word, ...] = (
    Rarity("peer"),
    Rarity("service"),
    Rarity("port", given="source"),
    Rarity("peer network", given="source"),
    Rarity("service", given="source"),
    Rarity("state", given="source"),
    Rarity("sent", given="source"),
    Rarity("received", given="source"),
    Rarity("lasting", given="source"),
    Rarity("peer", given="port"),
    Rarity("service", given="port"),
    Rarity("state", given="port"),
    Rarity("sent", given="port"),
    Rarity("received", given="port"),
    Rarity("lasting", given="port"),
    Rarity("program", given="port"),
    Fan("peer", per="source"),
    Fan("port", per="source"),
    Burst("source"),
    Burst("peer", per="source"),
)


@dataclass(frozen=True)
class Cost:
    """Nanoseconds an event, by part."""

    fields: float
    words: Mapping[str, float]

    @property
    def whole(self) -> float:
        """All parts together."""
        return self.fields + sum(self.words.values())


def main() -> None:
    """Print the tables, and draw the plot where `--output` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    console = Console(width=160)
    estate = _estate()
    streams = {"simulated estate": estate[Domain.NETWORK]} | (_real(asked.data) if asked.data else {})
    _show_parts({name: _cost(events, asked.rounds) for name, events in streams.items()}, console)
    lengths = {name: _by_length(events) for name, events in streams.items()}
    _show_lengths(lengths, console)
    if asked.output:
        _draw(lengths, asked.output)
    _show_memory(estate, console)
    console.print(f"cores: {len(os.sched_getaffinity(0))}, Polars threads: {pl.thread_pool_size()}")


def _estate() -> Events:
    with TemporaryDirectory() as folder:
        simulate(Path(folder), seed=1)
        return read_logs(sorted(Path(folder).glob("*.jsonl"))).events


def _real(data: Path) -> dict[str, pl.DataFrame]:
    streams = (network.iot23(data, "34-1"), network.darpa(data))
    return {stream.name: stream.events[Domain.NETWORK] for stream in streams}


def _cost(events: pl.DataFrame, rounds: int) -> Cost:
    """The cheapest of some rounds over a whole stream."""
    _one_round(events[:_BATCH])  # compiles
    return min((_one_round(events) for _ in range(rounds)), key=lambda cost: cost.whole)


def _one_round(events: pl.DataFrame) -> Cost:
    watches = {word.name: word.watch(SLOTS) for word in WORDS}
    clock, fields, words = Clock(), 0.0, dict.fromkeys(watches, 0.0)
    for batch in events.iter_slices(_BATCH):
        start = time.process_time()
        texts, codes = worked_out(batch, RECIPE.fields)
        time_B = batch["time"].to_physical().to_numpy()
        look = Look(codes, texts, clock.advance(time_B), time_B)
        fields += time.process_time() - start
        for name, watch in watches.items():
            start = time.process_time()
            watch.observe(look).astype(np.float32)
            words[name] += time.process_time() - start
    one = 1e9 / events.height
    return Cost(fields * one, {name: seconds * one for name, seconds in words.items()})


def _by_length(events: pl.DataFrame) -> dict[int, float]:
    """Nanoseconds an event over a whole stream of each length, beginning with nothing; short ones are tried often."""
    return {n: min(_long(events, n) for _ in range(max(1, min(5, 1_000_000 // n)))) for n in _LENGTHS}


def _long(events: pl.DataFrame, length: int) -> float:
    featurizer, seconds, left = Featurizer(RECIPE.fields, WORDS), 0.0, length
    for batch in (batch for again in _again(events) for batch in again.iter_slices(_BATCH)):
        part = batch[:left]
        start = time.process_time()
        featurizer.observe(part)
        seconds += time.process_time() - start
        left -= part.height
        if not left:
            break
    return 1e9 * seconds / length


def _again(events: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The events over and over, each time later and with names of their own."""
    lasting = events.select(pl.col("time").max() - pl.col("time").min()).item()
    for generation in count():
        names = (pl.col(name) + f"~{generation}" for name in (*_NAMES, "dst_endpoint_ip") if name in events.columns)
        yield events.with_columns(*names, time=pl.col("time") + generation * lasting)


def _crowd(events: pl.DataFrame, rows: int) -> pl.DataFrame:
    """The events again until there are enough, ten milliseconds apart, each with names that no other has."""
    number, start = pl.int_range(pl.len()), events["time"].min()
    names = {
        "actor_user_name": pl.format("user-{}", number.hash(1)),
        "user_name": pl.format("user-{}", number.hash(1)),
        "device_hostname": pl.format("desktop-{}", number.hash(2)),
        "src_endpoint_ip": pl.format("2001:db8:{}:{}::1", number // 10_000, number % 10_000),
    }
    made = {name: names[name] for name in _NAMES if name in events.columns}
    repeated = pl.concat([events] * -(-rows // events.height))[:rows]
    return repeated.with_columns(**made, time=pl.lit(start) + pl.duration(milliseconds=10 * number))


def _show_memory(estate: Events, console: Console) -> None:
    """Print what six agents take after seeing all entities twice, a third of them users, hosts and addresses."""
    table = Table("agent", "MB more", "keys", "bytes a key", "pairs known again", "ns/event", box=MARKDOWN)
    before, agents, figures = _resident(), {}, {}
    for domain, events in estate.items():
        agents[domain], start = Agent(recipe_of(domain)), _resident()
        cost = _seen_twice(agents[domain], _crowd(events, _ENTITIES // 3))
        figures[domain] = _resident() - start, cost
    after = _resident()
    for domain, (more, cost) in figures.items():
        keys = sum(array.size for name, array in agents[domain].state().items() if name.endswith(".keys"))
        known = f"{100 * _known_again(domain, estate[domain]):.1f} %"
        table.add_row(domain, f"{more:,.0f}", f"{keys:,}", f"{1e6 * more / keys:.0f}", known, f"{cost:,.0f}")
    console.print(table)
    console.print(f"six agents after {_ENTITIES:,} entities: {after - before:,.0f} MB, process {after:,.0f} MB")


def _seen_twice(agent: Agent, crowd: pl.DataFrame) -> float:
    """Nanoseconds an event, from events to verdicts."""
    numbered, start = crowd.with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int64)), time.process_time()
    for _ in range(2):
        for batch in numbered.iter_slices(_BATCH):
            agent.observe(batch)
    return 1e9 * (time.process_time() - start) / (2 * crowd.height)


def _known_again(domain: Domain, events: pl.DataFrame) -> float:
    """The share of pairs of a user, host or address and a kind of event that a second look finds known."""
    recipe, crowd = recipe_of(domain), _crowd(events, _ENTITIES // 3)
    who = next(name for name in ("source", "client", "user", "host") if name in recipe.fields)
    featurizer, known, told = Featurizer(recipe.fields, (Fan("kind", per=who),)), 0, 0
    for again in range(2):
        for batch in crowd.iter_slices(_BATCH):
            seen = featurizer.observe(batch)
            both = (seen.codes["kind"] > 0) & (seen.codes[who] > 0)
            known, told = known + again * int((seen.x_BF[both, 0] == 0).sum()), told + again * int(both.sum())
    return known / told


def _resident() -> float:
    """Megabytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _show_parts(costs: Mapping[str, Cost], console: Console) -> None:
    table = Table("ns/event", *costs, box=MARKDOWN)
    table.add_row("fields, worked out and hashed", *(f"{cost.fields:.0f}" for cost in costs.values()))
    for word in WORDS:
        table.add_row(word.name, *(f"{cost.words[word.name]:.0f}" for cost in costs.values()))
    table.add_row(f"{len(WORDS)} words", *(f"{sum(cost.words.values()):.0f}" for cost in costs.values()))
    table.add_row("all", *(f"{cost.whole:.0f}" for cost in costs.values()))
    table.add_row("events/s", *(f"{1e9 / cost.whole:,.0f}" for cost in costs.values()))
    console.print(table)


def _show_lengths(lengths: Mapping[str, Mapping[int, float]], console: Console) -> None:
    table = Table("ns/event over", *(f"{length:,} events" for length in _LENGTHS), box=MARKDOWN)
    for name, costs in lengths.items():
        table.add_row(name, *(f"{costs[length]:.0f}" for length in _LENGTHS))
    console.print(table)


def _draw(lengths: Mapping[str, Mapping[int, float]], path: Path) -> None:
    """Cost by length, a line a stream."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, costs in lengths.items():
        axes.plot(list(costs), list(costs.values()), marker="o", label=name)
    axes.set(xscale="log", xlabel="events", ylabel="nanoseconds an event, 20 words, one core", ylim=(0, None))
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
