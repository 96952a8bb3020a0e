"""A job for tests of executors: keeps the run directory's contract and otherwise does as told, without torch.

It writes a line to starts.txt, says hello through one pipe of the run directory, and waits for its order on another:
an exit code, or `crash`, or `fork` (leave a child behind in the process group and exit 0).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

DIRECTORY = Path(sys.argv[-1])
ATTEMPT_ID = json.loads((DIRECTORY / "attempt.json").read_text())["attempt_id"]
KINDS = {0: "completed", 75: "checkpointed"}


def end(code: int) -> None:
    outcome = {"attempt_id": ATTEMPT_ID, "kind": KINDS.get(code, "failed"), "reason": "as told", "ended_at": datetime.now(UTC).isoformat()}
    aside = DIRECTORY / "outcome.aside"
    aside.write_text(json.dumps(outcome))
    os.replace(aside, DIRECTORY / "outcome.json")
    os._exit(code)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: end(75))
    with (DIRECTORY / "starts.txt").open("a") as file:
        file.write(f"{ATTEMPT_ID}\n")
    print("hello", os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    (DIRECTORY / "hello").write_text(str(os.getpid()))
    order = (DIRECTORY / "orders").read_text()
    if order == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if order == "fork":
        if os.fork() == 0:
            signal.pause()
        end(0)
    end(int(order))


main()
