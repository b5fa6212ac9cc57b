"""A process whose children append to a log, and move it into its lake, until they are killed.

`killed_writer LOG PAYLOAD`: for each number that it reads it forks a child, which prints its process, and then the
number and the position of each entry, once acknowledged: from that number on, and of those just before it again.
"""

import itertools
import os
import sys
from pathlib import Path

from serving.stream.event_log import EventLog
from serving.stream.group_commit import GroupCommit
from serving.stream.log_entries import Entry, Kind, moment

GROUP, EVENTS = 4, 3


def main() -> None:
    path, payload = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            print(os.getpid(), flush=True)
            write(path, payload, int(line))
        os.waitpid(child, 0)
        print("dead", flush=True)


def write(path: Path, payload: bytes, first: int) -> None:
    log = EventLog(path)
    commits = GroupCommit(log, most_entries=GROUP - 1)
    for start in itertools.count(max(first - GROUP, 0), GROUP):
        numbers = range(start, start + GROUP)
        answers = [
            commits.submit(Entry(Kind.EVENTS, moment(n), "p", "t", payload, EVENTS, key=str(n))) for n in numbers
        ]
        for number, answer in zip(numbers, answers, strict=True):
            print(number, answer.result().position, flush=True)
        if start // GROUP % 5 == 0:
            log.move(log.head().position - GROUP)


if __name__ == "__main__":
    main()
