"""Runs one check on mutated bytes: `python -m tests.fuzz.target NAME`, then libFuzzer's own arguments."""

import importlib
import os
import sys
from pathlib import Path

import atheris

FEATURES = Path(__file__).parents[2] / "features"


def main() -> None:
    """What is imported while watched tells the fuzzer which bytes lead somewhere new; compiled code cannot be."""
    name = sys.argv.pop(1)
    compiled = [] if os.environ.get("NUMBA_DISABLE_JIT") == "1" else _compiled()
    with atheris.instrument_imports(include=["features"], exclude=compiled, enable_loader_override=False):
        targets = importlib.import_module("tests.fuzz.checks").TARGETS
    for sample in targets[name].samples:
        targets[name].check(
            sample
        )  # compiles what it runs: on a busy machine that alone can take longer than an input may
    atheris.Setup(sys.argv, targets[name].check)
    atheris.Fuzz()


def _compiled() -> list[str]:
    return [f"features.{path.stem}" for path in sorted(FEATURES.glob("*.py")) if "njit" in path.read_text()]


if __name__ == "__main__":
    main()
