"""One command line for all, quick to say what it can do."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import secmesh
from secmesh import app, main

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(secmesh.__file__).parent)}
HEAVY = {"torch", "mlflow", "river", "polars", "numba", "matplotlib", "sklearn"}


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in ("demo", "train", "simulate", "score", "rank", "models", "serve"):
        assert f" {command} " in result.stdout


def test_every_command_has_its_own_help() -> None:
    for command in ("demo", "train", "simulate", "score", "rank", "models", "serve"):
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_the_version_is_that_of_the_installed_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secmesh.version", {"secmesh": "9.9"}.__getitem__)
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, "secmesh 9.9\n")


def test_an_unknown_command_fails_with_2() -> None:
    assert CliRunner().invoke(app, ["conquer"]).exit_code == 2


def test_help_waits_for_no_heavy_library() -> None:
    code = "import atexit, sys, secmesh; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); secmesh.main()"
    begun = time.monotonic()
    done = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, env=ENVIRONMENT, timeout=60
    )
    assert time.monotonic() - begun < 5  # 0.3 s on a machine with nothing else to do
    assert "Usage: secmesh" in done.stdout
    assert not HEAVY & set(done.stderr.split())


def test_main_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["anything", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "Usage: secmesh" in capsys.readouterr().out
