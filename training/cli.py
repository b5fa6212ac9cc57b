"""The commands that train: teach the mesh, judge and promote releases, simulate an estate, and the demo of it all."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agents.terminal import bars, fail, in_plain_words, inert, warn
from models.home import Home
from training.progress import adding, lessons

_MOVED = "`secmesh models` says which release is the champion"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)

Days = Annotated[int, typer.Option(min=1, help="Days that the estate lives.")]
Users = Annotated[int, typer.Option(min=1, help="People who work there.")]
Campaigns = Annotated[Path | None, typer.Option(help="A folder of campaign files to play instead of the packaged.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same outcome.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the record of champions.")]
HomeOption = Annotated[
    Path | None,
    typer.Option("--home", envvar="SECMESH_HOME", help="Where mlruns/ and var/ are; else the current folder."),
]


@app.command()
def train(
    data: Annotated[list[str], typer.Option(help="Logs, archives and folders of them; more may follow it.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[DOMAIN]...", help="What to train; else all that the logs hold.")
    ] = None,
    format: Annotated[str, typer.Option(help="The format of the logs; auto finds it from their content.")] = "auto",
    since: Annotated[str | None, typer.Option(help="Learn from events of this ISO date or time on, in UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="Learn from events before this ISO date or time, in UTC.")] = None,
    sweep: Annotated[int, typer.Option(min=0, help="Try so many settings for each domain, and keep the best.")] = 0,
    device: Annotated[str, typer.Option(help="Where to fit: auto, cpu, cuda or mps.")] = "auto",
    seed: Seed = 0,
    home: HomeOption = None,
) -> None:
    """Learn from past logs, register the models, and make them the champion release."""
    from models.registry import Registry  # numpy
    from training import jobs  # torch: 2 s
    from training.checkpoints import GO_ON, resumable
    from training.fitting import device_of
    from training.shelf import key_of, shelve, span_of

    domains, paths = _told_apart(words or [], data)
    at = Home.at(home)
    with in_plain_words(f"the champion is the one from before; {GO_ON}"), bars() as told:
        span, place = span_of(since, until), device_of(device)
        with resumable(at.var / "training" / key_of(paths, format, span)) as folder:
            read = adding(told, "reading")
            shelf = shelve(paths, folder / "shelf", format=format, span=span, told=lambda chunk: read(chunk.records))
            warn(_refusals(shelf.refusals, shelf.refused))
            warn(f"the logs hold no {domain} events" for domain in domains if domain not in shelf.rows)
            warn(_outside(shelf.seen - sum(shelf.rows.values()), shelf.seen))
            taught = [domain for domain in shelf.rows if domain in domains or not domains]
            heard = lessons(taught, told)
            registry = Registry(at)
            outcome = jobs.train(
                shelf, registry, taught, seed=seed, told=heard, heard=told, sweep=sweep, device=place, folder=folder
            )
    for domain, version in outcome.release.versions.items():
        learned = f"learned from {shelf.rows[domain]:,} events" if domain in taught else "as before"
        print(f"{domain:>10}: version {version}, {learned}")
    print("\n".join(outcome.in_words()))


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="The folder to write: a log for each domain, and truth.json.")],
    seed: Seed = 0,
    days: Days = 7,
    users: Users = 60,
    campaigns: Campaigns = None,
) -> None:
    """Write the logs of a simulated estate with attacks in them, and beside them the truth."""
    from training.estate.campaigns import PACKAGED  # polars: 0.2 s
    from training.simulation import simulate as live  # numba: 1 s

    with in_plain_words(f"{out} is incomplete; the same command writes it anew"), bars() as told:
        step = adding(told, "simulating")
        chosen = campaigns or PACKAGED
        summary = live(out, seed=seed, days=days, users=users, campaigns=chosen, progress=lambda _: step(1))
    for domain, rows in summary.counts.items():
        print(f"{rows:>10,} {domain} events")
    for name, rows in summary.campaigns.items():
        print(f"{rows:>10,} of them: {inert(name)}")
    print(inert(f"{summary.events:,} events in {out}; next: `secmesh train --data {out}/*.jsonl`"))


@app.command()
def demo(
    seed: Seed = 1, days: Days = 7, users: Users = 60, campaigns: Campaigns = None, home: HomeOption = None
) -> None:
    """Simulate an estate, train on its peace, stream the rest, rank the threats, and compare with the truth."""
    from training import demo as whole  # torch and all the rest: 3 s
    from training.estate.campaigns import PACKAGED
    from training.showing import table

    at = Home.at(home)
    with in_plain_words("the same command starts again and overwrites what is there"), bars() as told:
        chosen = campaigns or PACKAGED
        outcome = whole.demo(at, seed=seed, days=days, users=users, campaigns=chosen, told=told)
    Console().print(table(outcome.threats, outcome.truths))
    print("\n".join(_summary(outcome.found, outcome.streamed, outcome.seconds)))
    print(f"release {outcome.release.number}, which learned from simulated events, is now the champion\n")
    print("next:", f"open {outcome.report}", "secmesh models", sep="\n  ")
    print(f"  mlflow ui --backend-store-uri sqlite:///{at.mlruns / 'mlflow.db'}")
    print("  secmesh train --data YOUR_LOGS, then secmesh rank NEWER_LOGS")


@app.command()
def promote(
    number: Annotated[int | None, typer.Argument(help="The release; else the challenger, which is the newest.")] = None,
    reason: Reason = "",
    home: HomeOption = None,
) -> None:
    """Make a release the champion; what the gate refused, or what is older than a champion, needs a reason."""
    from models import releases  # numpy and polars
    from models.registry import Registry

    registry = Registry(Home.at(home))
    with in_plain_words(_MOVED):
        release = releases.find(registry, number) if number else releases.challenger(registry)
        releases.promote(registry, release, reason=reason)
    print(f"release {release.number} is the champion; back to the one before with `secmesh rollback`")


@app.command()
def rollback(reason: Reason = "", home: HomeOption = None) -> None:
    """Make the release the champion again that was it before; twice goes back two."""
    from models import releases  # numpy and polars
    from models.registry import Registry

    with in_plain_words(_MOVED):
        release = releases.rollback(Registry(Home.at(home)), reason=reason)
    print(f"release {release.number} is the champion again")


@app.command()
def compare(
    one: Annotated[str, typer.Argument(metavar="RUN", help="Its id or how that begins, or network@champion, dns/3.")],
    other: Annotated[str, typer.Argument(metavar="RUN", help="The run to compare with.")],
    home: HomeOption = None,
) -> None:
    """Show two training runs side by side: settings, data, and what came of it."""
    from models.registry import Registry  # numpy
    from training import comparing  # polars

    with in_plain_words("the same command starts again"):
        comparison = comparing.compare(Registry(Home.at(home)), one, other)
    Console().print(comparing.table(comparison))


@app.command()
def evaluate(
    paths: Annotated[list[str], typer.Argument(help="Logs, archives and folders of them.")],
    labels: Annotated[Path, typer.Option(help="CSV or Parquet that says by line or uid which events are attacks.")],
    release: Annotated[int | None, typer.Option(min=1, help="The release to measure; else the champion.")] = None,
    format: Annotated[str, typer.Option(help="The format of the logs; auto finds it from their content.")] = "auto",
    seed: Seed = 0,
    output: Annotated[Path | None, typer.Option(help="A report to write, .html or .md.")] = None,
    home: HomeOption = None,
) -> None:
    """Measure how far up a release puts labelled attacks; the labels reach no model."""
    from models.registry import Registry  # numpy
    from training import evaluating  # torch, numba and polars: 3 s

    registry = Registry(Home.at(home))
    with in_plain_words("the same command starts again"), bars() as told:
        evaluation = evaluating.evaluate(
            paths, labels, registry, release=release, format=format, seed=seed, output=output, told=told
        )
    Console().print(evaluating.table(evaluation))
    print(inert(f"wrote {output}" if output else f"run {evaluation.run_id}; --output writes a report"))


def _told_apart(words: Sequence[str], data: Sequence[str]) -> tuple[list[str], list[str]]:
    """Domains and logs: a shell makes of `--data logs/*` one log after the option and the rest among the domains."""
    from features.events import Domain  # polars

    domains = [word for word in words if word in set(Domain)]
    paths = [word for word in words if word not in domains]
    for path in paths:
        if not Path(path).exists():
            fail(f"{path}: neither a domain ({', '.join(Domain)}) nor a log; name one that exists", code=2)
    return domains, [*data, *paths]


def _refusals(first: Sequence[tuple[str, int | None, str]], all: int) -> Iterator[str]:
    """A line for each of the first refused records, and how many more there are."""
    for source, line, reason in first:
        yield f"{source}{'' if line is None else f' line {line}'}: {reason}"
    if all > len(first):
        yield f"and {all - len(first):,} more refused records; all others are used"


def _outside(events: int, all: int) -> Iterator[str]:
    if events:
        yield f"{events:,} of {all:,} events are not between --since and --until"


def _summary(found: Mapping[str, int | None], events: int, seconds: Mapping[str, float]) -> Iterator[str]:
    """Where each attack was found, and how long it took."""
    for name, rank in found.items():
        yield f"{inert(name)}: {f'rank {rank}' if rank else 'not found'}"
    high = sum(rank is not None and rank <= 10 for rank in found.values())
    yield f"{high} of {len(found)} attacks are among the 10 highest threats"
    phases = ", ".join(f"{phase} {took:.1f} s" for phase, took in seconds.items())
    rate = events / max(seconds["scoring"], 1e-3)
    yield f"{sum(seconds.values()):.0f} s: {phases}; {rate:,.0f} events scored a second"
