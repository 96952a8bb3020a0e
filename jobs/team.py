"""Training on several devices, seen from `python -m jobs run`: it keeps the lock, the meter and the outcome, and starts the
processes that train (`jobs.ldm.agent`, torch's own launcher) for everything else.

A stop is passed on by closing a pipe, never by a signal: batch systems send signals to every process they find, and the
processes that train must end together, at the same step.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.errors import RunError, StopRequested
from jobs.outcome import OutcomeKind
from jobs.reports import Ending, Stand, read
from jobs.session import Session

_LOOK_EVERY_SECONDS = 0.2  # for a request to stop
_LONGEST_LINE = 65536  # bytes kept of one without an end, as progress bars print; no report is that long
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent


def train_together(session: Session) -> None:
    """Train with `spec.processes` processes until they end. Raises RunError, StopRequested; no process outlives this call."""
    with _agent(session) as agent:
        ending = _follow(session, agent)
    if ending is None:
        raise RunError(f"the {session.spec.processes} training processes ended without a word (exit code {agent.returncode}): see log.txt")
    if ending.outcome is OutcomeKind.CHECKPOINTED:
        raise StopRequested
    if ending.outcome is OutcomeKind.FAILED:
        raise RunError(ending.reason, retryable=ending.retryable)


@contextmanager
def _agent(session: Session) -> Iterator[subprocess.Popen[bytes]]:
    """The launcher. It and the processes it starts end with their parents, however those end (`jobs.ldm.parent`)."""
    directory = session.directory
    path = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "jobs.ldm.agent", str(directory.path), str(session.spec.processes), str(os.getpid())]
    with directory.log_file.open("ab") as log:
        agent = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=os.environ | {"PYTHONPATH": path}, bufsize=0
        )
    try:
        yield agent
    finally:
        agent.kill()  # without effect where it has ended
        assert agent.stdout is not None
        while agent.stdout.read(65536):
            pass  # open until the last of the processes is gone
        agent.stdout.close()
        if agent.stdin is not None and not agent.stdin.closed:
            agent.stdin.close()
        agent.wait()


def _follow(session: Session, agent: subprocess.Popen[bytes]) -> Ending | None:
    """Book what the processes report until they are gone; pass a request to stop on. The first ending that was told."""
    assert agent.stdin is not None
    ending: Ending | None = None
    for line in _lines(session, agent):
        report = read(line)
        if isinstance(report, Stand):
            session.book(report.phase, report.step)
        elif isinstance(report, Ending):
            ending = ending or report
    agent.wait()
    return ending


def _lines(session: Session, agent: subprocess.Popen[bytes]) -> Iterator[str]:
    """Lines of the agent's output until its end."""
    assert agent.stdin is not None
    assert agent.stdout is not None
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(agent.stdout, selectors.EVENT_READ)
        while True:
            if session.stop_requested and not agent.stdin.closed:
                agent.stdin.close()
            if not selector.select(_LOOK_EVERY_SECONDS):
                continue
            content = os.read(agent.stdout.fileno(), 65536)
            if not content:
                return
            *lines, pending = (pending + content).split(b"\n")
            pending = pending[:_LONGEST_LINE]
            yield from (line.decode("utf-8", errors="replace") for line in lines)
