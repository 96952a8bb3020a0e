"""How fast jobs are accepted, beside a bare FastAPI endpoint that inserts one row into SQLite (synchronous=FULL).

    python -m tests.bench.submit_throughput [--seconds 2] [--rounds 9] [--connections 16]

Both are real servers in processes of their own (one uvicorn worker each, threads for the endpoint), loaded in turn by wrk
(Debian's package) in the same run, on the same disk, with the same body, which both validate by the same pydantic model.
The daemon does all that `POST /v1/jobs` promises: validation, estimate, job and first event in one durable transaction,
preview. Its tick is put off, so that planning thousands of queued jobs is not measured here.

On a computer with other work the rates swing by a factor of two within a minute. So the rounds are short and in turn, and
what counts is the median of the ratios of neighbours. The processor time per request, which others disturb less, stands
beside it.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from fastapi import FastAPI

from daemon.domain.job import JobRequest

GOAL = 0.6
JOB: dict[str, object] = {
    "name": "bench",
    "workload": {
        "kind": "training",
        "model": {"dimensions": 2, "size": "tiny", "image_shape": [32, 32]},
        "data": {"phantom": {"patients": 8}},
        "iterations": 100,
    },
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server under load: the URL that takes jobs, and its process."""

    url: str
    process: psutil.Process

    @property
    def cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


@dataclass(frozen=True, slots=True)
class Rate:
    """One measurement: answers per second, and processor time of the server per answer."""

    per_second: float
    cpu_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each, in turn")
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("this benchmark needs wrk: apt-get install wrk", file=sys.stderr)
        return 1
    pairs: list[tuple[Rate, Rate]] = []
    with tempfile.TemporaryDirectory(prefix="lowtide-bench-") as name, bare(Path(name)) as plain, daemon(Path(name)) as lowtide:
        for warm in (plain, lowtide):
            load(warm, Path(name), 1, options.connections)
        for _ in range(options.rounds):
            first, second = (load(server, Path(name), options.seconds, options.connections) for server in (plain, lowtide))
            pairs.append((first, second))
    ratio = show(pairs)
    return 0 if ratio >= GOAL else 1


def show(pairs: list[tuple[Rate, Rate]]) -> float:
    """Print the medians; the ratio that counts is the median over pairs of neighbours."""
    for title, rates in zip(("bare FastAPI + SQLite insert", "POST /v1/jobs"), zip(*pairs, strict=True), strict=True):
        per_second = statistics.median(rate.per_second for rate in rates)
        milliseconds = statistics.median(rate.cpu_seconds for rate in rates) * 1000
        print(f"{title:<30}{per_second:6.0f} requests/s {milliseconds:6.2f} ms of processor time each")
    ratios = sorted(ours.per_second / bare.per_second for bare, ours in pairs)
    cpu_ratio = statistics.median(bare.cpu_seconds / ours.cpu_seconds for bare, ours in pairs)
    ratio = statistics.median(ratios)
    print(f"{'ratio':<30}{ratio:6.2f} (at least {GOAL} is the goal; {', '.join(f'{one:.2f}' for one in ratios)})")
    print(f"{'ratio of processor time':<30}{cpu_ratio:6.2f}")
    return ratio


def bare_app(database: Path) -> FastAPI:
    """The least that can accept a job durably: one validated body, one inserted row, one commit."""
    app = FastAPI()
    local = threading.local()

    def connection() -> sqlite3.Connection:
        if not hasattr(local, "connection"):
            local.connection = sqlite3.connect(database, timeout=10)
            local.connection.execute("PRAGMA journal_mode=WAL")
            local.connection.execute("PRAGMA synchronous=FULL")
        opened: sqlite3.Connection = local.connection
        return opened

    connection().execute("CREATE TABLE job (id INTEGER PRIMARY KEY, request TEXT)")

    @app.post("/jobs", status_code=201)
    def submit(job: JobRequest) -> dict[str, int | None]:
        with connection() as transaction:
            row = transaction.execute("INSERT INTO job (request) VALUES (?)", (job.model_dump_json(),))
        return {"id": row.lastrowid}

    return app


def serve_bare(database: str, port: str) -> None:
    import uvicorn

    uvicorn.run(bare_app(Path(database)), host="127.0.0.1", port=int(port), log_config=None, access_log=False)


@contextmanager
def bare(folder: Path) -> Iterator[Server]:
    port = free_port()
    program = "import sys; from tests.bench.submit_throughput import serve_bare; serve_bare(*sys.argv[1:])"
    command = [sys.executable, "-c", program, str(folder / "bare.db"), str(port)]
    with running(command, f"http://127.0.0.1:{port}/openapi.json") as process:
        yield Server(f"http://127.0.0.1:{port}/jobs", process)


@contextmanager
def daemon(folder: Path) -> Iterator[Server]:
    port = free_port()
    config = folder / "lowtide.toml"
    config.write_text(
        f'database = "sqlite:///{folder}/lowtide.db"\n[ticker]\ntick_seconds = 3600\n'
        f'[[sites]]\nname = "here"\nzone = "DE"\nrun_root = "{folder}/runs"\n'
    )
    command = [sys.executable, "-m", "daemon", "serve", "--config", str(config), "--port", str(port)]
    with running(command, f"http://127.0.0.1:{port}/healthz") as process:
        yield Server(f"http://127.0.0.1:{port}/v1/jobs", process)


@contextmanager
def running(command: list[str], answers_at: str) -> Iterator[psutil.Process]:
    """Run a server until the block ends; the block begins when it answers."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    log: list[str] = []
    reader = threading.Thread(target=log.extend, args=(process.stderr,))
    reader.start()
    try:
        while not _answers(answers_at):
            if process.poll() is not None:
                raise RuntimeError(f"{command} ended at once: {''.join(log)}")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()
        reader.join()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def load(server: Server, folder: Path, seconds: int, connections: int) -> Rate:
    """Submit jobs as fast as they are answered; raises RuntimeError if any was not accepted."""
    script = folder / "post.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = {json.dumps(json.dumps(JOB))}\n')
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), server.url]
    began = server.cpu_seconds
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = server.cpu_seconds - began
    rate, answers = re.search(r"Requests/sec:\s+([\d.]+)", told), re.search(r"(\d+) requests in", told)
    if rate is None or answers is None or "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"{server.url} refused requests:\n{told}")
    return Rate(float(rate[1]), used / max(1, int(answers[1])))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
