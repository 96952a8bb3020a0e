"""How long `lowtide serve` takes in an empty folder until /healthz and then /v1/sites answer, and how much memory it holds then.

`python -m tests.bench.startup`: the first run compiles and creates the database, so the median of the others counts.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

RUNS = 7
PATIENCE_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % path)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def start_once() -> tuple[float, float, float, float]:
    """(wall seconds to /healthz, to /v1/sites, CPU seconds until then, resident MB) of one start in a new empty folder."""
    folder, port = Path(tempfile.mkdtemp()), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOWTIDE_")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    began = time.perf_counter()
    daemon = subprocess.Popen(
        [sys.executable, "-m", "daemon", "serve", "--port", str(port)], cwd=folder, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        while not answers(port, b"/healthz"):
            if time.perf_counter() - began > PATIENCE_SECONDS or daemon.poll() is not None:
                raise SystemExit("lowtide serve did not start")
            time.sleep(0.005)
        alive_seconds = time.perf_counter() - began
        if not answers(port, b"/v1/sites"):
            raise SystemExit("lowtide serve is alive, but does not answer")
        open_seconds = time.perf_counter() - began
        process = psutil.Process(daemon.pid)
        spent = process.cpu_times()
        return alive_seconds, open_seconds, spent.user + spent.system, process.memory_info().rss / 1e6
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        shutil.rmtree(folder)


def main() -> None:
    start_once()
    runs = [start_once() for _ in range(RUNS)]
    names = ("wall seconds to /healthz", "wall seconds to /v1/sites", "CPU seconds until then", "resident MB")
    for name, values in zip(names, zip(*runs, strict=True), strict=True):
        print(f"{name:<26} median {statistics.median(values):.2f}  ({min(values):.2f} to {max(values):.2f}, {RUNS} runs)")
    print(f"load average at the end    {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
