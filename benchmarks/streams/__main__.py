"""Every streaming method against every data set: average precision, AUC, recall, speed.

    python -m benchmarks.streams [--data ../shared/data] [--only SET ...] [--methods NAME ...] [--seeds 5]
        [--seconds 60] [--peers PYTHON] [--output results.json] [--join results.json ...] [--quick] [--words]

secmesh runs as it is: fresh agents, one configuration a domain, the evidence of their verdicts. The peers see the same
float features (the recipe's words, x / (x + 3)) and run with their packages' own settings: River from this
environment, PySAD, PyOD and rrcf from that of `--peers` (`pip install pysad pyod rrcf` there). River's and PySAD's
score a row before they learn it; PyOD's three are fitted on the whole stream first. MIDAS is re-stated over the two
ends of an edge. Where a set has several domains, scores but secmesh's and the naive one's become -log of their
domain's share that scores as high. Labels are read after scoring.

A method that would take longer than `--seconds` on a set walks every n-th event. `--quick`: one seed, 4 seconds.
Methods without chance run once and have no interval.
`--words` prints for each row which single words of the recipes would order its units best.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import Progress

from benchmarks.streams.figures import Figures, figures
from benchmarks.streams.methods import Domained, Method, PeerAbsent, Scored, domains, methods, tails
from benchmarks.streams.sets import SETS
from benchmarks.streams.single_words import show_words
from benchmarks.streams.stream import Stream
from benchmarks.streams.tables import show
from features.files import UnreadablePath


def main() -> None:
    """Measure what was asked for, print the tables, keep the figures."""
    arguments = _arguments()
    console = Console(width=400)
    results = [Figures(**row) for path in arguments.join for row in json.loads(path.read_text())]
    every = methods(arguments.peers, 4.0 if arguments.quick else arguments.seconds)
    chosen = [method for method in every if not arguments.methods or method.name in arguments.methods]
    names = [name for name in SETS if not arguments.only or name.startswith(tuple(arguments.only))]
    with Progress(console=Console(stderr=True)) as progress:
        for name in progress.track(names, description="sets"):
            stream = _stream(name, arguments.data, console)
            if stream:
                parts = domains(stream)
                if arguments.words:
                    show_words(stream, parts, console)
                results += _compare(stream, parts, chosen, arguments, progress, console)
                _keep(results, arguments.output)
    if results:
        _keep(results, arguments.output)
        show(results, console)


def _stream(name: str, data: Path, console: Console) -> Stream | None:
    """The data set, or None, said aloud, where its files are absent."""
    try:
        return SETS[name](data)
    except (OSError, UnreadablePath) as missing:
        console.print(f"{name} is skipped, its data is not here: {missing}")
        return None


def _compare(
    stream: Stream,
    parts: Sequence[Domained],
    chosen: Sequence[Method],
    arguments: Any,
    progress: Progress,
    console: Console,
) -> list[Figures]:
    """The figures of every chosen method; one whose package is absent is left out, said aloud."""
    results: list[Figures] = []
    for method in progress.track(chosen, description=stream.name):
        try:
            results += _measure(stream, parts, method, 1 if arguments.quick else arguments.seeds)
        except PeerAbsent as reason:
            console.print(f"{method.name} is skipped: {reason}")
    return results


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--methods", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--join", type=Path, nargs="*", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--words", action="store_true")
    return parser.parse_args()


def _measure(stream: Stream, parts: Sequence[Domained], method: Method, seeds: int) -> list[Figures]:
    results = []
    for seed in range(seeds if method.chancy else 1):
        scored = [method.score(part, stream, seed) for part in parts]
        frame = _frame(parts, scored, method)
        walked = sum(some.walked for some in scored)
        rate = walked / max(1e-9, sum(some.seconds for some in scored))
        stride = max(some.stride for some in scored)
        for view in stream.views:
            told: dict[str, Any] = figures(view, frame)
            results.append(Figures(f"{stream.name}, {view.name}", method.name, seed, rate=rate, stride=stride, **told))
    return results


def _frame(parts: Sequence[Domained], scored: Sequence[Scored], method: Method) -> pl.DataFrame:
    """The asked events of all domains with their scores, null where one was left out."""
    return pl.concat(
        [
            part.events[part.rows].with_columns(
                domain=pl.lit(part.domain.value),
                row=part.rows,
                score=pl.Series(some.score_B if method.nats else tails(some.score_B)).fill_nan(None),
            )
            for part, some in zip(parts, scored, strict=True)
        ],
        how="diagonal",
    )


def _keep(results: Sequence[Figures], path: Path | None) -> None:
    if path:
        path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
