"""Text from elsewhere that is shown to people."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.printable import visible, visible_line


def test_what_acts_on_a_terminal_is_shown_instead() -> None:
    assert visible("\x1b]0;owned\x07 a\r\x9b2J b\u202ecba\u2028 \ud800") == r"\x1b]0;owned\x07 a\r\x9b2J b\u202ecba\u2028 \ud800"


def test_words_of_every_language_and_layout_stay_as_they_are() -> None:
    text = "Gründer in Umeå: 31 g, 12 °C, 例\n\tzweite Zeile"
    assert visible(text) == text


@given(st.text(st.characters()))
def test_a_visible_line_is_one_line_that_can_be_written(text: str) -> None:
    line = visible_line(text)
    assert len(line.splitlines()) <= 1
    assert "\x1b" not in line
    assert line.encode().decode() == line
    assert visible_line(line) == line
