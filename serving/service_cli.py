"""The commands of the service: open the endpoint, send events, hand out keys, fold the log again, read the audit."""

import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agents.terminal import bars, in_plain_words, inert, warn
from models.home import Home
from serving.access.policy import MAIN, Action
from serving.cli import Format, HomeOption, table, until_stopped

_AGAIN = "the same command starts again"
_GOES_ON = "the same command goes on from here"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)
keys = typer.Typer(no_args_is_help=True, help="API keys of the endpoint: who may post, read and decide.")
app.add_typer(keys, name="keys")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8787,
    certificate: Annotated[Path | None, typer.Option(help="A certificate in PEM, for TLS.")] = None,
    private_key: Annotated[Path | None, typer.Option(help="Its private key in PEM.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose events are taken and threats told; no other key opens it.")] = MAIN,
    home: HomeOption = None,
) -> None:
    """Open the endpoint: events are posted into a durable log, ranked threats are read."""
    from serving.api import listening, service  # polars and numba: 1 s

    with (
        in_plain_words(_GOES_ON),
        listening.listening(host, port, is_secure=certificate is not None) as (socket, url),
    ):
        print(f"listening on {url}; stop with Ctrl-C", flush=True)
        with suppress(KeyboardInterrupt):  # how people stop it
            service.serve(Home.at(home), socket, warn, certificate, private_key, tenant=tenant)


@app.command()
def send(
    paths: Annotated[list[str], typer.Argument(help="Logs, archives and folders of them; globs are taken too.")],
    url: Annotated[str, typer.Option(envvar="SECMESH_URL", help="Where the endpoint is.")] = "http://127.0.0.1:8787",
    key: Annotated[str | None, typer.Option(envvar="SECMESH_KEY", help="An API key, where one is needed.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as the logs grow, until Ctrl-C.")] = False,
    places: Annotated[Path, typer.Option(help="The file that says how far each log was sent.")] = Path("sent.json"),
    format: Format = "auto",
) -> None:
    """Send the events of logs to an endpoint, each once, and go on where an earlier run stopped."""
    from serving.client import sending  # polars and numba: 1 s
    from serving.client.client import Client

    with (
        in_plain_words(_GOES_ON),
        until_stopped() as pause,
        Client(url, key, say=lambda line: warn([line])) as client,
    ):
        sent = sending.send(paths, client, places, pause=pause, say=warn, format=format, follow=follow)
    known = f", {sent.repeated:,} of them known there" if sent.repeated else ""
    print(inert(f"{sent.events:,} events sent{known}; {sent.refused:,} records refused; {places} says how far"))


@app.command()
def replay(
    to: Annotated[int, typer.Option(min=0, help="The position to fold the log to.")],
    most: Annotated[int, typer.Option(min=1, help="Threats told, at most.")] = 50,
    home: HomeOption = None,
) -> None:
    """Rank the threats as they stood at a position of the event log: the log is folded again, and left as it is."""
    from agents.consensus.trusting import guided_by
    from models.registry import Registry  # reads numpy, which no other command should wait for
    from serving.folding import replaying  # torch, numba and polars: 3 s
    from serving.threats import ranking

    at = Home.at(home)
    with in_plain_words(_AGAIN), bars() as told:
        fold = replaying.replayed(at.var / "events.db", Registry(at), to, told)
        threats = fold.council.rank(most, guided_by(fold.answers))
    Console().print(table(ranking.HEADINGS, map(ranking.in_words, threats)))
    print(f"as of position {fold.place.position}: {fold.place.events:,} events, release {fold.release}")


@app.command()
def forget(
    principal: Annotated[str, typer.Argument(help="Whose events should be as if they had never come.")],
    since: Annotated[int, typer.Option(min=1, help="From which position of the log on.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "at the command line",
    tenant: Annotated[str, typer.Option(help="Whose principal that is.")] = MAIN,
    home: HomeOption = None,
) -> None:
    """Have the mesh forget what somebody sent; the service has to be stopped, and folds its log again at its start."""
    from serving.access import shell
    from serving.folding import replaying  # torch, numba and polars: 3 s

    at = Home.at(home)
    with (
        in_plain_words(_AGAIN),
        shell.written_down(at, Action.EVENTS_FORGET, f"{principal} since {since}", reason, tenant) as tell,
    ):
        position, events = replaying.forget(at.var / "events.db", principal, tenant, since, datetime.now(UTC))
        tell(f"position {position} of the event log")
    print(f"{events:,} events of {inert(principal)} are forgotten, says position {position} of the log")


@app.command()
def audit(
    most: Annotated[int, typer.Option(min=0, help="Lines told, at most, the newest last.")] = 50,
    verify: Annotated[bool, typer.Option("--verify", help="Check all of it, and name the first bad line.")] = False,
    held: Annotated[str | None, typer.Option(help="LINES:HASH as told before: check that all up to there is.")] = None,
    home: HomeOption = None,
) -> None:
    """Tell who decided what, and was refused what, and the mark of it all, which is best kept elsewhere."""
    from serving.access import audit_reading
    from serving.access.audit_lines import START, audit_key, audit_path, mark_of

    at = Home.at(home)
    path, key = audit_path(at), audit_key(at)
    with in_plain_words(_AGAIN):
        if verify or held:
            audit_reading.verify(path, key, mark_of(held) if held else START)
        mark = audit_reading.page(path, key, 0, 0).mark
        found = audit_reading.page(path, key, max(0, mark.lines - most), most)
    rows = (
        (
            [str(number)],
            [f"{one.at:%Y-%m-%d %H:%M:%S}"],
            [one.principal, f"{one.role} of {one.tenant}"],
            [one.action, one.target],
            [one.outcome],
            [one.reason],
        )
        for number, one in enumerate(found.lines, start=found.after + 1)
    )
    Console().print(table(("line", "at", "who", "what", "outcome", "why"), rows))
    print(f"{'whole; ' if verify or held else ''}mark {found.mark}")


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="Who holds the key.")],
    role: Annotated[str, typer.Option(help="What for: ingest, analyst, data-scientist or admin.")],
    tenant: Annotated[str, typer.Option(help="Whose things it may touch.")] = MAIN,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; never, by default.")] = None,
    home: HomeOption = None,
) -> None:
    """Make a key and show it, once."""
    from serving.access import keys as ring
    from serving.access import shell
    from serving.access.policy import Role

    with in_plain_words(_AGAIN):
        if role not in list(Role):
            raise ring.KeyAsked(f"role {role!r}: expected one of {', '.join(Role)}")
        at, lifetime = Home.at(home), None if days is None else timedelta(days=days)
        for_what = f"a key for the role {role} of {tenant}, {f'{days} days' if days else 'for good'}"
        with shell.written_down(at, Action.KEYS_WRITE, name, for_what, tenant) as tell:
            key = ring.add(
                ring.keys_path(at),
                name,
                Role(role),
                datetime.now(UTC),
                secrets.token_bytes,
                tenant=tenant,
                lifetime=lifetime,
            )
            print(key)
            tell(f"the key {key.split('_')[1]}")


@keys.command("list")
def list_(home: HomeOption = None) -> None:
    """List all keys that were ever made, but for the keys themselves."""
    from serving.access import keys as ring

    now = datetime.now(UTC)
    with in_plain_words(_AGAIN):
        known = ring.listed(ring.keys_path(Home.at(home)))
    rows = (
        (
            [one.id],
            [one.name],
            [one.role],
            [one.tenant],
            [f"{one.made:%Y-%m-%d}"],
            ["good" if one.is_good(now) else "no"],
        )
        for one in known
    )
    Console().print(table(("id", "name", "role", "tenant", "made", "good"), rows))


@keys.command()
def revoke(
    which: Annotated[str, typer.Argument(help="The id of a key, or the name of who holds it.")], home: HomeOption = None
) -> None:
    """Make keys worthless from now on, even where the audit cannot be written: that is said then."""
    from serving.access import keys as ring
    from serving.access import shell

    at, now = Home.at(home), datetime.now(UTC)
    with in_plain_words(_AGAIN):
        gone = ring.revoke(ring.keys_path(at), which, now)
        print(inert(f"revoked: {', '.join(f'{one.name} ({one.id})' for one in gone)}"))
        for one in gone:
            shell.write_down(at, Action.KEYS_WRITE, one.name, f"the key {one.id} is revoked", one.tenant)
