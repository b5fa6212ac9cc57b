"""The commands that serve logs: score them, rank, explain and answer threats, list models."""

import getpass
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.terminal import bars, fail, in_plain_words, inert, warn
from models.home import Home

STDIN = "-"

_AGAIN = "the same command starts again"
_GOES_ON = "the same command goes on from here"
_STEP_SECONDS = 0.1

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)

Paths = Annotated[list[str], typer.Argument(help="Logs, archives and folders of them; - is standard input.")]
Format = Annotated[str, typer.Option(help="The format of the logs; auto finds it from their content.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first record that is refused.")]
HomeOption = Annotated[
    Path | None,
    typer.Option("--home", envvar="SECMESH_HOME", help="Where mlruns/ and var/ are; else the current folder."),
]


@app.command()
def score(
    paths: Paths,
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write; else verdicts.parquet, or with --follow verdicts.ndjson."),
    ] = None,
    format: Format = "auto",
    strict: Strict = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Go on as the logs grow, rotate or appear, until Ctrl-C; globs are taken too."),
    ] = False,
    horizon: Annotated[
        float, typer.Option(min=0, max=86400, help="With --follow: seconds that an event waits for older ones.")
    ] = 10,
    home: HomeOption = None,
) -> None:
    """Score every event of some logs: one verdict each, in the order of the input."""
    if follow:
        _follow(paths, output or Path("verdicts.ndjson"), format, strict, timedelta(seconds=horizon), Home.at(home))
    else:
        _score(paths, output or Path("verdicts.parquet"), format, strict, Home.at(home))


def _score(paths: Sequence[str], output: Path, format: str, strict: bool, at: Home) -> None:
    from models.registry import Registry  # reads numpy, which no other command should wait for
    from serving.batch import outputs, refusals, scoring  # torch, numba and polars: 3 s

    with in_plain_words(_AGAIN), _spooled(paths, at) as (files, called):
        outputs.check_output(output, files)
        with bars() as told:
            scored = scoring.score(files, registry=Registry(at), format=format, called=called, told=told, strict=strict)
        kept = scoring.keep_verdicts(scored, output)
    warn(scored.warnings)
    warn(scored.unmapped, "unmapped")
    warn(scored.noticed, "noticed")
    warn(refusals.refusals_in_words(scored.refused, format), "refused")
    print(inert(f"{scored.verdicts.height:,} events scored; {kept.in_words()}"))
    _fail_unless(scored.verdicts.height)


def _follow(paths: Sequence[str], output: Path, format: str, strict: bool, horizon: timedelta, at: Home) -> None:
    from models.registry import Registry  # reads numpy, which no other command should wait for
    from serving.batch import following  # torch, numba and polars: 3 s

    with in_plain_words(_GOES_ON), until_stopped() as pause:
        print(inert(f"following {', '.join(paths)}; verdicts go to {output}; stop with Ctrl-C"), flush=True)
        scored = following.follow(
            paths, output, Registry(at), pause=pause, say=warn, format=format, horizon=horizon, strict=strict
        )
    print(inert(f"{scored:,} events scored; appended to {output}; {_GOES_ON}"))


@app.command()
def rank(
    paths: Paths,
    output: Annotated[Path | None, typer.Option(help="The JSON file to write, besides the table.")] = None,
    format: Format = "auto",
    strict: Strict = False,
    home: HomeOption = None,
    most: Annotated[int, typer.Option(min=1, help="Threats told, at most.")] = 50,
    alpha: Annotated[
        float, typer.Option(min=0.001, max=0.999, help="Share of false threats that a list may have.")
    ] = 0.1,
    budget: Annotated[int, typer.Option(min=1, help="Threats that a day's list may have.")] = 20,
    assets: Annotated[
        Path | None,
        typer.Option(help="A CSV file of kind (user, host, address), name, nats: how critical people hold them to be."),
    ] = None,
) -> None:
    """Score some logs and rank the threats in them, with the reasons; those below the cut stand in brackets."""
    from agents.consensus.council import Cut
    from models.registry import Registry  # reads numpy, which no other command should wait for
    from serving.batch import outputs, refusals, scoring  # torch, numba and polars: 3 s
    from serving.threats import answering, docket, ranking
    from serving.threats.answer_book import AnswerBook
    from serving.threats.assets import read_assets

    at = Home.at(home)
    with in_plain_words(_AGAIN), _spooled(paths, at) as (files, called):
        if output:
            outputs.check_output(output, files)
        criticality = read_assets(assets) if assets else {}
        answers = AnswerBook(at.var).read()
        with bars() as told:
            scored = scoring.score(files, registry=Registry(at), format=format, called=called, told=told, strict=strict)
            ranked = ranking.docket_of(scored, most, Cut(alpha, budget), criticality)
            threats = ranking.threats_of(ranked, answering.guidance(ranked, answers.answers))
        kept = ranking.keep_threats(threats, scored, output) if output else None
    warn(scored.warnings)
    warn(scored.unmapped, "unmapped")
    warn(scored.noticed, "noticed")
    warn(refusals.refusals_in_words(scored.refused, format), "refused")
    warn(answers.in_words())
    Console().print(table(ranking.HEADINGS, map(ranking.in_words, threats)))
    with in_plain_words(_AGAIN):
        docket.keep(ranked, at.var)
    if threats:
        print(f"next: secmesh explain {threats[0].id}, then secmesh feedback {threats[0].id} true|false --preview")
    written = f"; {kept.in_words()}" if kept else ""
    listed = sum(threat.listed for threat in threats)
    told_of = f"threats: {listed:,} listed, {len(threats) - listed:,} below the cut"
    print(inert(f"{told_of}, in {scored.verdicts.height:,} events{written}"))
    _fail_unless(scored.verdicts.height)


@app.command()
def explain(
    threat: Annotated[str, typer.Argument(help="An id that `rank` told, at least 4 letters of it, or a rank.")],
    home: HomeOption = None,
) -> None:
    """Say why a threat that was ranked last has its rank, and what would change it."""
    from serving.threats import answering, docket, telling  # numba and polars: 2 s
    from serving.threats.answer_book import AnswerBook

    at = Home.at(home)
    with in_plain_words(_AGAIN):
        answers = AnswerBook(at.var).read()
        told = answering.explain(docket.kept(at.var), answers.answers, threat)
    warn(answers.in_words())
    _say(telling.head(told))
    Console().print(table(telling.WORDS, telling.words(told)))
    Console().print(table(telling.CHANGES, telling.changes(told), show_lines=False))
    _say(telling.touched(told, answers.answers))


@app.command()
def feedback(
    threat: Annotated[str, typer.Argument(help="An id that `rank` told, or at least 4 letters of it.")],
    said: Annotated[
        Literal["true", "false", "withdraw"], typer.Argument(help="What it is; withdraw takes your answer back.")
    ],
    preview: Annotated[bool, typer.Option("--preview", help="Show what it would change, and keep nothing.")] = False,
    analyst: Annotated[str | None, typer.Option(help="Who says so; else the login name.")] = None,
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")] = "",
    home: HomeOption = None,
) -> None:
    """Answer whether a threat that was ranked last is true; what that changes is shown."""
    from serving.threats import answering, docket, telling  # numba and polars: 2 s
    from serving.threats.answer_book import AnswerBook

    at, who = Home.at(home), analyst or _login()
    book = AnswerBook(at.var)
    with in_plain_words(_AGAIN):
        answers = book.read()
        now = datetime.now(UTC)
        effect = answering.effect(docket.kept(at.var), answers.answers, threat, said, who, reason, now)
        if not preview:
            book.append(effect.answer)
    warn(answers.in_words())
    Console().print(table(telling.PLACES, telling.places(effect), show_lines=False))
    _say(telling.besides(effect))
    print(inert(telling.kept(effect, None if preview else str(book.path))))


@app.command()
def answers(home: HomeOption = None) -> None:
    """List what was answered, by whom, and what it moved."""
    from serving.threats import telling  # numba and polars: 2 s
    from serving.threats.answer_book import AnswerBook

    with in_plain_words(_AGAIN):
        read = AnswerBook(Home.at(home).var).read()
    warn(read.in_words())
    Console().print(table(telling.ANSWERED, telling.answered(read.answers)))
    _say(telling.learned(read.answers))


@app.command()
def convert(
    paths: Paths,
    output: Annotated[Path, typer.Option(help="The folder to make, with a file for each domain that has events.")],
    format: Format = "auto",
    strict: Strict = False,
    home: HomeOption = None,
) -> None:
    """Write the events of some logs as Parquet files, which every command reads as it reads logs."""
    from serving.batch import converting, refusals  # numba and polars: 1 s

    with in_plain_words(_AGAIN), _spooled(paths, Home.at(home)) as (files, called), bars() as told:
        done = converting.convert(files, output, format=format, called=called, told=told, strict=strict)
    warn(refusals.refusals_in_words(done.refused, format), "refused")
    if done.refused_count > done.refused.height:
        warn([f"and {done.refused_count - done.refused.height:,} more records"], "refused")
    print(inert(f"{done.events:,} events converted; {done.kept.in_words()}"))
    _fail_unless(done.events)


@app.command()
def formats(paths: Annotated[list[str], typer.Argument(help="Logs, archives and folders of them.")]) -> None:
    """Say which format each log is in, and by what it was known."""
    from features import formats as known  # numba and polars: 1 s

    with in_plain_words(_AGAIN):
        seen = list(known.formats(paths))
    rows = (
        (
            [log.source, *([f"({log.member})"] if log.member else [])],
            _as_told(log.format, log.unmapped),
            [log.why, log.begins],
        )
        for log in seen
    )
    Console().print(table(("log", "format", "known by, and how it begins"), rows))
    _fail_unless(sum(log.format is not None for log in seen))


@app.command()
def models(home: HomeOption = None) -> None:
    """List what the registry holds, the champion release first, with what the gate said and who was champion when."""
    from models.registry import Registry  # reads numpy, which no other command should wait for
    from serving.batch import listing  # polars

    with in_plain_words(_AGAIN):
        listed = listing.listing(Registry(Home.at(home)))
    warn(listed.warnings)
    Console().print(table(listing.HEADINGS, listed.rows))


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(inert(line))


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        fail("nobody is logged in by a name here; say who you are with --analyst", code=2)


def _as_told(format: str | None, unmapped: float | None) -> list[str]:
    return [format or "none", *([] if unmapped is None else [f"{unmapped:.0%} in no column"])]


def _fail_unless(scored: int) -> None:
    if not scored:
        raise typer.Exit(1)


@contextmanager
def _spooled(paths: Sequence[str], home: Home) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The paths with standard input as a file, and under which name that file should be known."""
    if STDIN not in paths:
        yield list(paths), {}
        return
    home.var.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=home.var, prefix="stdin-") as folder:
        spool = Path(folder) / "stdin"
        with spool.open("wb") as file:
            shutil.copyfileobj(typer.get_binary_stream("stdin"), file)
        yield [str(spool) if path == STDIN else path for path in paths], {str(spool): STDIN}


@contextmanager
def until_stopped() -> Iterator[Callable[[float], bool]]:
    """A pause that says whether Ctrl-C or SIGTERM asked for the end; who asks twice does not wait for it."""
    is_asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal is_asked
        if is_asked:
            raise KeyboardInterrupt
        is_asked = True

    def pause(seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not is_asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _STEP_SECONDS))
        return is_asked

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield pause
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def table(headings: Sequence[str], rows: Iterable[Sequence[Sequence[str]]], show_lines: bool = True) -> Table:
    """A table whose cells are lines of text that cannot steer the terminal."""
    table = Table(*headings, show_lines=show_lines)
    for row in rows:
        table.add_row(*(Text("\n".join(map(inert, lines))) for lines in row))
    return table
