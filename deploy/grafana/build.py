"""Writes the dashboards' JSON: `python -m deploy.grafana.build`. A test fails when the committed files are not what this writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.overview import overview

FOLDER = Path(__file__).parent / "dashboards"


def dashboards() -> Iterator[tuple[Path, str]]:
    """(file, content) of every dashboard."""
    board = overview()
    yield FOLDER / f"{board.uid}.json", JSONEncoder(sort_keys=True, indent=2).encode(board) + "\n"


def main() -> None:
    for path, text in dashboards():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
