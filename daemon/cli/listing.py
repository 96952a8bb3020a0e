"""Tables for people that stay readable at any width."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

BETWEEN_COLUMNS, AT_THE_EDGES = 3, 2  # what SIMPLE_HEAD leaves
WORDS_NEED = 24  # narrower than that, a sentence becomes a pillar
SHORTEST_NAME = 8  # what is cut keeps as much
INDENT = 4


class Listing:
    """A rich table; `right` names the columns of numbers.

    The title and the last column wrap, the first column (what a thing is called) and those `whole` are never cut. In a terminal too
    narrow for that, columns without any value are left out, sentences stand beneath their rows, names between give way, the longest
    first, and what still has no room stands beneath, too, with its heading. A first column that is too wide alone is folded.
    """

    def __init__(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Text]],
        right: Collection[str] = (),
        whole: Collection[str] = (),
    ) -> None:
        self._title, self._columns, self._rows, self._right = title, columns, rows, right
        self._uncut = {columns[0], *right, *whole}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType | Segment]:
        available = options.max_width - AT_THE_EDGES
        if self._fits(self._columns, self._rows, available):
            yield self._table(self._columns, self._rows, options.max_width)
            return
        told = self._told()
        columns, rows = [self._columns[index] for index in told], [[row[index] for index in told] for row in self._rows]
        if self._fits(columns, rows, available):
            yield self._table(columns, rows, options.max_width)
        else:
            yield from self._with_some_beneath(console, options, columns, rows)

    def _told(self) -> list[int]:
        """The first column, and those that say something of any row."""
        return [index for index in range(len(self._columns)) if index == 0 or any(_says_something(row[index]) for row in self._rows)]

    def _fits(self, columns: Sequence[str], rows: Sequence[Sequence[Text]], available: int) -> bool:
        """Whether nothing has to be cut, and sentences in the last column get room to wrap."""
        widths = _widths(columns, rows)
        if self._has_words(columns, widths):
            widths[-1] = WORDS_NEED
        return _total(widths) <= available

    def _has_words(self, columns: Sequence[str], widths: Sequence[int]) -> bool:
        return columns[-1] not in self._right and widths[-1] > WORDS_NEED

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[Text]], width: int) -> Table:
        title = textwrap.fill(self._title, width, break_on_hyphens=False)
        made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for index, column in enumerate(columns):
            wraps = column == self._columns[-1]
            needed = max((line.cell_len for row in rows for line in row[0].split()), default=0) if index == 0 else None
            made.add_column(
                column, justify="right" if column in self._right else "left", no_wrap=not wraps, overflow="ellipsis", min_width=needed
            )
        for row in rows:
            made.add_row(*row)
        return made

    def _with_some_beneath(
        self, console: Console, options: ConsoleOptions, columns: Sequence[str], rows: Sequence[Sequence[Text]]
    ) -> Iterator[RenderableType | Segment]:
        widths = _widths(columns, rows)
        words = len(columns) - 1 if self._has_words(columns, widths) else len(columns)
        beside = self._give_way(columns[:words], widths[:words], options.max_width - AT_THE_EDGES)
        shortened = [
            [_folded(row[0], console, beside[0]), *(_cut(cell, width) for cell, width in zip(row[1:], beside[1:], strict=False))]
            for row in rows
        ]
        full, empty = (
            console.render_lines(self._table(columns[: len(beside)], each, options.max_width), options, pad=False)
            for each in (shortened, [])
        )
        lines, head = iter(full), len(empty) - 1  # the last line is its bottom
        heights = [max(len(cell.split()) for cell in row) for row in shortened]
        for height, row in zip([head, *heights], [None, *rows], strict=True):
            for _ in range(height):
                yield from [*next(lines), Segment.line()]
            for text in () if row is None else _beneath(columns, row, len(beside), words):
                for line in text.wrap(console, max(options.max_width - INDENT, WORDS_NEED)):
                    yield Padding(line, (0, 0, 0, INDENT))
        yield Segment.line()

    def _give_way(self, columns: Sequence[str], widths: Sequence[int], available: int) -> list[int]:
        """Widths of the columns that stay beside each other: names between are shortened, then the last ones are given up."""
        kept = list(widths)
        spare = [0 if column in self._uncut else width - _shortest(column) for column, width in zip(columns, widths, strict=True)]
        while _total(kept) > available and len(kept) > 1:
            at = max(range(len(kept)), key=lambda index: kept[index] if spare[index] > 0 else 0)
            if spare[at] > 0:
                kept[at], spare[at] = kept[at] - 1, spare[at] - 1
            else:
                kept.pop()
        return [min(kept[0], available), *kept[1:]]


def _shortest(column: str) -> int:
    """How narrow a column of names may become."""
    return max(SHORTEST_NAME, cell_len(column))


def _widths(columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> list[int]:
    """Of the heading and the longest line of any cell."""
    return [max([cell_len(column), *(line.cell_len for row in rows for line in row[at].split())]) for at, column in enumerate(columns)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + BETWEEN_COLUMNS * (len(widths) - 1)


def _says_something(cell: Text) -> bool:
    return cell.plain not in ("", "-")


def _beneath(columns: Sequence[str], row: Sequence[Text], first: int, words: int) -> Iterator[Text]:
    """The cells from `first` on that had no room, each with its heading; sentences, at `words`, speak for themselves."""
    labelled = [f"{columns[index].rstrip()} {row[index].plain}" for index in range(first, words) if _says_something(row[index])]
    if labelled:
        yield Text(", ".join(labelled))
    if words < len(row) and _says_something(row[words]):
        yield row[words]


def _cut(cell: Text, width: int) -> Text:
    lines = cell.split()
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def _folded(cell: Text, console: Console, width: int) -> Text:
    """A name on as many lines as it takes: two that are cut might look the same."""
    return Text("\n").join(cell.wrap(console, width, overflow="fold"))
