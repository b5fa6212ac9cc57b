"""A process for tests of what keeps one at work: says its number, and what it hears; dies where it is asked to."""

import os
import signal
import sys
from multiprocessing.connection import Connection

from serving.folding.messages import Ask, Said, Stop, detectors_end

DIE, SLEEP, END = b"die", b"sleep", b"end"

if __name__ == "__main__":
    line = detectors_end(Connection(int(sys.argv[2])))
    line.send(Said([str(os.getpid())], "born"))
    while True:
        match message := line.receive():
            case Stop() | Ask(digest=b"end"):
                break
            case Ask(digest=b"die"):
                os.kill(os.getpid(), signal.SIGKILL)
            case Ask(digest=b"sleep"):
                os.kill(os.getpid(), signal.SIGSTOP)
        line.send(Said([repr(message)], "heard"))
