"""The whole interface to a node: `python -m jobs run DIRECTORY`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jobs.stopping import StopRequest


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="jobs", description="Run a Lowtide job on this node.")
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="work in a run directory until it is done, stopped or failed")
    run_command.add_argument("directory", type=Path, help="the folder with spec.json and attempt.json")
    directory = parser.parse_args(arguments).directory
    with StopRequest() as stop:  # listening before the imports of the next line: a stop may come at once
        from jobs.run import run

        return run(directory, stop)


if __name__ == "__main__":
    sys.exit(main())
