"""Tables in a terminal of 80 columns, as most are when a shell is opened, and in any other."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from daemon.cli.output import table

WHY = "runs at 19:03 UTC, as soon as it may, at umea in SE: 0.0047 g instead of 0.094 g at heidelberg"
SOURCE = "yearly-mean: mean of 2023, derived: mean of hours (Electricity Maps), release 2025-01-27"
JOBS = ("id", "name", "kind", "state", "progress", "energy", "why")
JOB = ("j-1m7zqw1pt3nqzk", "first-training", "synthesis", "suspended", "158/25000", "0.2327 Wh")
ZONES = ("site", "zone", "gCO2e/kWh", "rung", "age", "GPUs busy", "status", "source")
ZONE = ("heidelberg", "SE-SE3", "367", "yearly-mean", "12 min", "0/16", "answers")


def shown(
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    width: int,
    right: tuple[str, ...] = (),
    whole: tuple[str, ...] = (),
    title: str = "Title",
) -> list[str]:
    """The lines as `say` would print them to a terminal of that width."""
    told = io.StringIO()
    console = Console(file=told, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(table(title, columns, rows, right, whole))
    return told.getvalue().splitlines()


@pytest.mark.parametrize(("columns", "row", "words"), [(JOBS, JOB, WHY), (ZONES, ZONE, SOURCE)])
def test_sentences_stand_whole_beneath_their_rows_where_80_columns_have_no_room_beside_them(
    columns: tuple[str, ...], row: tuple[str, ...], words: str
) -> None:
    lines = shown(columns, [(*row, words), (*row, "-")], 80)
    assert max(map(len, lines)) <= 80
    first, second = (number for number, line in enumerate(lines) if line.strip().startswith(row[0]))
    assert " ".join(lines[first + 1 : second]).split() == words.split()
    assert len(lines) == second + 2  # nothing beneath a row without a word
    uncut = [cell for cell in row if cell != "first-training"]  # a name may be
    assert all(cell in lines[first] for cell in uncut)


def test_a_wide_terminal_has_sentences_beside_the_rest() -> None:
    (line,) = (line for line in shown(JOBS, [(*JOB, WHY)], 200) if JOB[0] in line)
    assert WHY in line


def test_figures_that_have_no_room_stand_beneath_with_their_headings_and_empty_columns_are_left_out() -> None:
    columns = ("job", "energy", "emitted", "run now", "saved", "of hindsight", "per 1,000", "account")
    told = ("first-training", "0.2832 Wh", "0.0081 g", "0.1611 g", "0.1531 g")
    head, line = (line for line in shown(columns, [(*told, "-", "-", "provisional")], 80, columns[1:7])[1:] if "j" in line or "W" in line)
    assert "hindsight" not in head
    assert all(figure in line for figure in (*told, "provisional"))
    lines = shown(columns, [(*told, "71.2%", "32.3 g", "provisional")], 80, columns[1:7])
    assert [text.strip() for text in lines[-2:]] == ["per 1,000 32.3 g, account provisional", ""]
    assert "71.2%" in lines[-3]


@pytest.mark.parametrize("words", ["-", WHY])
def test_a_title_longer_than_the_line_goes_on_in_the_next(words: str) -> None:
    title = "An 8 h job with 24 h slack: share of the hindsight saving kept, and of jobs that end above run-now"
    first, second, *rest = shown(JOBS, [(*JOB, words)], 80, title=title)
    assert f"{first.rstrip()} {second.rstrip()}" == title
    (row,) = (number for number, line in enumerate(rest) if JOB[0] in line)
    assert " ".join(rest[row + 1 :]).split() == words.split() or words == "-"


def test_names_too_long_for_the_line_are_folded_so_that_no_two_look_alike() -> None:
    names = [f"{'recorded/' * 12}{zone}_2023_hourly.csv.gz" for zone in ("DE", "SE")]
    lines = shown(("file", "zone", "new"), [(name, name[108:110], "8760") for name in names], 80, ("new",))
    assert max(map(len, lines)) <= 80
    for name in names:
        assert name in "".join(line.strip() for line in lines)
    assert [line.strip() for line in lines if "zone" in line] == ["zone DE, new 8760", "zone SE, new 8760"]


def test_columns_asked_for_whole_are_never_cut() -> None:
    cut, uncut = (" ".join(shown(JOBS, [(*JOB, WHY)], 70, whole=whole)) for whole in ((), ("name",)))
    assert "first-training" not in cut
    assert "first-training" in uncut


@given(width=st.integers(40, 240), name=st.text(alphabet="añ字 ", max_size=60), words=st.sampled_from(["", "-", "short", WHY, WHY * 3]))
def test_no_table_is_wider_than_the_terminal_and_none_loses_a_row(width: int, name: str, words: str) -> None:
    rows = [(f"j-{number}", name, "a\nb", words) for number in range(3)]
    lines = shown(("id", "name", "when", "why"), rows, width)
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines if line.strip().startswith("j-")] == ["j-0", "j-1", "j-2"]
