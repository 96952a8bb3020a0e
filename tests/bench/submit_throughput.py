"""How fast jobs are accepted, beside a bare FastAPI endpoint that inserts one row into SQLite (synchronous=FULL).

    python -m tests.bench.submit_throughput [--seconds 8] [--rounds 3] [--connections 16]

Both are real servers in processes of their own, loaded in turn by wrk (Debian's package) in the same run, on the same
disk. The daemon does all that `POST /v1/jobs` promises: validation, estimate, job and first event in one durable
transaction, preview. Its tick is put off, so that planning thousands of queued jobs is not measured here.
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
from pathlib import Path

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

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
BARE_JOB: dict[str, object] = {"name": "bench", "samples": 100}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each, in turn")
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("this benchmark needs wrk: apt-get install wrk", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="lowtide-bench-") as folder, bare(Path(folder)) as plain, daemon(Path(folder)) as lowtide:
        rates: dict[str, list[float]] = {plain: [], lowtide: []}
        bodies = {plain: BARE_JOB, lowtide: JOB}
        for _ in range(options.rounds):
            for url, measured in rates.items():
                measured.append(load(url, bodies[url], Path(folder), options.seconds, options.connections))
    bare_rate, our_rate = (statistics.median(measured) for measured in rates.values())
    print(f"bare FastAPI + SQLite insert  {bare_rate:8.0f} requests/s   of {', '.join(f'{rate:.0f}' for rate in rates[plain])}")
    print(f"POST /v1/jobs                 {our_rate:8.0f} requests/s   of {', '.join(f'{rate:.0f}' for rate in rates[lowtide])}")
    print(f"ratio                         {our_rate / bare_rate:8.2f}   (at least {GOAL} is the goal)")
    return 0 if our_rate >= GOAL * bare_rate else 1


class BareJob(BaseModel):
    name: str
    samples: int


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

    connection().execute("CREATE TABLE job (id INTEGER PRIMARY KEY, name TEXT, samples INTEGER)")

    @app.post("/jobs", status_code=201)
    def submit(job: BareJob) -> dict[str, int | None]:
        with connection() as transaction:
            row = transaction.execute("INSERT INTO job (name, samples) VALUES (?, ?)", (job.name, job.samples))
        return {"id": row.lastrowid}

    return app


def serve_bare(database: str, port: str) -> None:
    import uvicorn

    uvicorn.run(bare_app(Path(database)), host="127.0.0.1", port=int(port), log_config=None, access_log=False)


@contextmanager
def bare(folder: Path) -> Iterator[str]:
    port = free_port()
    program = "import sys; from tests.bench.submit_throughput import serve_bare; serve_bare(*sys.argv[1:])"
    with server([sys.executable, "-c", program, str(folder / "bare.db"), str(port)], f"http://127.0.0.1:{port}/openapi.json"):
        yield f"http://127.0.0.1:{port}/jobs"


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    port = free_port()
    config = folder / "lowtide.toml"
    config.write_text(
        f'database = "sqlite:///{folder}/lowtide.db"\n[ticker]\ntick_seconds = 3600\n'
        f'[[sites]]\nname = "here"\nzone = "DE"\nrun_root = "{folder}/runs"\n'
    )
    command = [sys.executable, "-m", "daemon", "serve", "--config", str(config), "--port", str(port)]
    with server(command, f"http://127.0.0.1:{port}/healthz"):
        yield f"http://127.0.0.1:{port}/v1/jobs"


@contextmanager
def server(command: list[str], answers_at: str) -> Iterator[None]:
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
        yield
    finally:
        process.terminate()
        process.wait()
        reader.join()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def load(url: str, body: dict[str, object], folder: Path, seconds: int, connections: int) -> float:
    """Requests per second that were answered 201; raises RuntimeError if any was not."""
    script = folder / "post.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = {json.dumps(json.dumps(body))}\n')
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    if rate is None or "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"{url} refused requests:\n{told}")
    return float(rate[1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
