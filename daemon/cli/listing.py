"""Tables for people that stay readable at any width."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
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

    The first column (what a thing is called) is never cut. The last wraps, and where it holds sentences and the terminal has no room
    for them, they stand beneath their rows. Names between give way, the longest first.
    """

    def __init__(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Text]], right: Collection[str] = ()) -> None:
        self._title, self._columns, self._rows, self._right = title, columns, rows, right

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType | Segment]:
        widths = [max(column_width(column, index, self._rows), 1) for index, column in enumerate(self._columns)]
        left = options.max_width - AT_THE_EDGES - sum(widths[:-1]) - BETWEEN_COLUMNS * (len(widths) - 1)
        if self._columns[-1] in self._right or widths[-1] <= WORDS_NEED or left >= WORDS_NEED:
            yield self._table(self._columns, self._rows)
        else:
            yield from self._with_words_beneath(console, options, widths[:-1])

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> Table:
        made = Table(title=self._title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for index, column in enumerate(columns):
            wraps = index == len(self._columns) - 1
            needed = max((line.cell_len for row in rows for line in row[0].split()), default=0) if index == 0 else None
            made.add_column(
                column, justify="right" if column in self._right else "left", no_wrap=not wraps, overflow="ellipsis", min_width=needed
            )
        for row in rows:
            made.add_row(*row)
        return made

    def _with_words_beneath(self, console: Console, options: ConsoleOptions, widths: list[int]) -> Iterator[RenderableType | Segment]:
        self._give_way(widths, options.max_width - AT_THE_EDGES)
        shortened = [[_cut(cell, width) for cell, width in zip(row, widths, strict=False)] for row in self._rows]
        lines = iter(console.render_lines(self._table(self._columns[:-1], shortened), options, pad=False))
        heights = [max(len(cell.split()) for cell in row) for row in shortened]
        head = len(console.render_lines(self._table(self._columns[:-1], []), options, pad=False)) - 1  # the last line is its bottom
        for height, row in zip([head, *heights], [None, *self._rows], strict=True):
            for _ in range(height):
                yield from [*next(lines), Segment.line()]
            if row is not None and row[-1].plain not in ("", "-"):
                for line in row[-1].wrap(console, max(options.max_width - INDENT, WORDS_NEED)):
                    yield Padding(line, (0, 0, 0, INDENT))
        yield Segment.line()

    def _give_way(self, widths: list[int], available: int) -> None:
        """Shorten the longest of the names between, until all fit or none can be shorter."""
        between = [index for index in range(1, len(widths)) if self._columns[index] not in self._right]
        while sum(widths) + BETWEEN_COLUMNS * (len(widths) - 1) > available:
            longest = max(between, key=widths.__getitem__, default=None)
            if longest is None or widths[longest] <= SHORTEST_NAME:
                return
            widths[longest] -= 1


def column_width(column: str, index: int, rows: Sequence[Sequence[Text]]) -> int:
    """Of the heading and the longest line of any cell."""
    return max([len(column), *(line.cell_len for row in rows for line in row[index].split())])


def _cut(cell: Text, width: int) -> Text:
    lines = cell.split()
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)
