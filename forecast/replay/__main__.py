"""`python -m forecast.replay --data FILES --speed 900 --start 2023-09-04T18:00Z --port 8765`: a replay until interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from forecast.clock import Clock, real_now
from forecast.intensity import IntensityKind
from forecast.replay.recording import Recording
from forecast.replay.server import PLANS, ReplayServer, faults_of


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; 2 with one sentence on standard error if the files or options do not make a replay."""
    options = _options(arguments)
    try:
        recording = Recording.load(options.data, IntensityKind(options.factors))
        clock = Clock(real_now(), options.start or recording.default_start(), options.speed)
        faults = faults_of(options.fault)
        server = ReplayServer(recording, clock.now, plan=options.plan, host=options.host, port=options.port)
    except (OSError, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server.set_faults(*faults)
    with server:
        zones = ", ".join(sorted(recording.hourly))
        print(f"replaying {zones} from {clock.grid_start:%Y-%m-%dT%H:%MZ} at x{options.speed:g} on {server.base_url}", flush=True)
        stop.wait()
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m forecast.replay", description="Serve recorded intensity as the Electricity Maps API.")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="portal or backtest CSV files, or folders of them")
    parser.add_argument("--speed", type=float, default=1.0, help="grid seconds per real second")
    parser.add_argument("--start", type=_instant, help="grid time at the start; default: 14 days into the files")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one and prints it")
    parser.add_argument("--plan", choices=sorted(PLANS), default="full", help="free: latest and history only")
    parser.add_argument("--factors", choices=("lifecycle", "direct"), default="lifecycle")
    parser.add_argument("--fault", action="append", default=[], help="switch a fault on from the beginning; may be repeated")
    return parser.parse_args(arguments)


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


if __name__ == "__main__":
    raise SystemExit(main())
