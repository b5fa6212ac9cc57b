"""The command line: what trains and what serves, under one name."""

from importlib.metadata import version
from typing import Annotated

import typer

import serving.cli
import serving.service_cli
import training.cli

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)
app.add_typer(training.cli.app)
app.add_typer(serving.cli.app)
app.add_typer(serving.service_cli.app)


def main() -> None:
    """Run the command that the user typed."""
    app(prog_name="secmesh")


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"secmesh {version('secmesh')}")
        raise typer.Exit


@app.callback()
def secmesh(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """An autonomous security mesh: six agents learn what is normal and agree on what is not."""
