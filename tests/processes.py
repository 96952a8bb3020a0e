"""Real processes for tests: the daemon as a user starts it, and a wait for what they do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

T = TypeVar("T")


def wait_for(look: Callable[[], T | None], seconds: float = 60.0) -> T:
    """The first thing `look` finds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"nothing came within {seconds:g} s"
        pause.wait(0.02)
    return found


@dataclass(frozen=True, slots=True)
class RunningDaemon:
    url: str
    http: httpx.Client
    process: subprocess.Popen[bytes]
    log: Path
    folder: Path


@contextmanager
def daemon_process(folder: Path, arguments: Sequence[str] = (), environment: dict[str, str] | None = None) -> Iterator[RunningDaemon]:
    """`lowtide serve` in `folder` on a free port, until the block ends; gives it once it listens."""
    log = folder / "daemon.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOWTIDE_")}
    root = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "daemon", "serve", "--port", "0", *arguments]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, cwd=folder, stderr=errors, env=clean | {"PYTHONPATH": root} | (environment or {}))
        try:
            url = wait_for(lambda: _announced(process, log))
            with httpx.Client(base_url=url, timeout=30.0) as http:
                yield RunningDaemon(url, http, process, log, folder)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes], seconds: float = 30.0) -> int:
    """End it with SIGTERM; its exit code."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _announced(process: subprocess.Popen[bytes], log: Path) -> str | None:
    text = log.read_text()
    assert process.poll() is None, f"the daemon ended with {process.returncode}:\n{text}"
    found = re.search(r" serve-started .*\burl=(\S+)", text)
    return found.group(1) if found else None
