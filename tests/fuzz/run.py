"""Fuzzes every parser for some time: `python -m tests.fuzz.run --seconds 60`; what crashes one is kept in var/fuzz."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.checks import TARGETS, Target

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "var" / "fuzz"
#: The longest that one input may take, in seconds, the most memory, in MB, and the longest input, in bytes.
SLOW, MEMORY, LONGEST = 20, 3000, 72_000
_SHOWN = 3000


@dataclass(frozen=True)
class Outcome:
    """How often a check was run, and what the fuzzer said if it failed."""

    name: str
    runs: int
    seconds: float
    complaint: str


def fuzz(name: str, seconds: int) -> Outcome:
    """Run one target in a process of its own."""
    target = TARGETS[name]
    KEPT.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz.target", name, *_arguments(name, seconds, Path(folder), target)]
        environment = os.environ | {"POLARS_MAX_THREADS": "1", "NUMBA_DISABLE_JIT": str(int(target.is_guided))}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace")  # noqa: S603 # ourselves
    runs = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    complaint = _complaint(done.stdout + done.stderr) if done.returncode else ""
    return Outcome(name, int(runs[1]) if runs else 0, time.monotonic() - start, complaint)


def _complaint(said: str) -> str:
    """The traceback, and where the input that led to it is kept."""
    traceback = said.partition("=== Uncaught Python exception")[2].partition("INFO:")[0] or said[-_SHOWN:]
    return "\n".join([traceback[:_SHOWN], *re.findall(r"Test unit written to .*|ERROR: libFuzzer: .*", said)])


def _arguments(name: str, seconds: int, folder: Path, target: Target) -> list[str]:
    corpus, words = folder / "corpus", folder / "words"
    corpus.mkdir()
    for number, sample in enumerate(target.samples):
        (corpus / str(number)).write_bytes(sample)
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words))
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={SLOW}",
        f"-rss_limit_mb={MEMORY}",
        f"-max_len={LONGEST}",
        "-len_control=0",
    ]
    return [*limits, f"-dict={words}", f"-artifact_prefix={KEPT}/{name}-", "-print_final_stats=1", str(corpus)]


def main() -> int:
    """Fuzz the targets that were asked for, some at once; 1 if any fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="targets at once")
    parser.add_argument("--only", nargs="*", choices=TARGETS, default=list(TARGETS))
    asked = parser.parse_args()
    with ThreadPoolExecutor(asked.workers) as threads:
        outcomes = list(threads.map(lambda name: fuzz(name, asked.seconds), asked.only))
    for outcome in outcomes:
        print(f"{outcome.name:12} {outcome.runs:8} runs in {outcome.seconds:4.0f} s", outcome.complaint)
    return int(any(outcome.complaint for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
