"""Structured logs: stable events, plain fields, no secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from daemon.logs import configure_logging


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_a_json_line_carries_event_level_time_and_fields(stream: io.StringIO) -> None:
    configure_logging("info", "json", stream=stream)
    logging.getLogger("daemon.test").info("plan-stale", extra={"job": "j1", "hours": 3.5})
    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {"level": "info", "event": "plan-stale", "logger": "daemon.test", "job": "j1", "hours": 3.5}


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_file_name_that_is_no_text_and_a_figure_that_is_none_lose_no_line(style: Literal["json", "text"]) -> None:
    written = io.BytesIO()
    configure_logging("info", style, stream=io.TextIOWrapper(written, encoding="utf-8", write_through=True))
    logging.getLogger("daemon.test").warning("settlement-postponed", extra={"reason": "data/\udcff.png", "hours": float("nan")})
    line = written.getvalue().decode()
    assert r"data/\udcff.png" in line
    if style == "json":
        assert json.loads(line, parse_constant=pytest.fail)["hours"] is None


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_secret_with_quotes_is_hidden_as_it_stands_in_json_too(stream: io.StringIO, style: Literal["json", "text"]) -> None:
    secret = 'half"a\\secret ü'
    configure_logging("info", style, [secret], stream)
    logging.getLogger("daemon.test").warning("http-failed", extra={"reason": f"token {secret} refused"})
    assert "secret" not in stream.getvalue()
    assert "**********" in stream.getvalue()


def test_a_text_line_stays_one_line_whatever_a_field_holds(stream: io.StringIO) -> None:
    configure_logging("info", "text", stream=stream)
    logging.getLogger("daemon.test").warning("launch-postponed", extra={"reason": 'no "space"\nleft=0', "site": "umea"})
    assert stream.getvalue().count("\n") == 1
    assert 'warning launch-postponed logger=daemon.test reason="no \\"space\\"\\nleft=0" site=umea' in stream.getvalue()


def test_nothing_logged_acts_on_the_terminal_that_shows_it(stream: io.StringIO) -> None:
    configure_logging("info", "text", stream=stream)
    try:
        raise ValueError("\x1b]0;owned\x07")
    except ValueError:
        logging.getLogger("daemon.test").exception("one\nserve-stopped", extra={"path": "/v1/\x9b2J\u202e"})
    shown = stream.getvalue()
    assert not any(character in shown for character in "\x1b\x07\x9b\u202e")
    assert shown.splitlines()[0].endswith(r'one\nserve-stopped logger=daemon.test path="/v1/\x9b2J\u202e"')


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_never_reaches_the_log_not_even_in_a_traceback(stream: io.StringIO, style: str) -> None:
    configure_logging("info", "json" if style == "json" else "text", ["tok-123456"], stream)
    try:
        raise RuntimeError("the key tok-123456 was refused")
    except RuntimeError:
        logging.getLogger("daemon.test").exception("chore-failed", extra={"url": "http://x?token=tok-123456"})
    assert "chore-failed" in stream.getvalue()
    assert "RuntimeError" in stream.getvalue()
    assert "tok-123456" not in stream.getvalue()


def test_levels_below_the_configured_one_and_noisy_libraries_are_quiet(stream: io.StringIO) -> None:
    configure_logging("warning", "text", stream=stream)
    logging.getLogger("daemon.test").info("serve-started")
    logging.getLogger("httpx").info("HTTP Request: GET https://...")
    assert stream.getvalue() == ""


def test_configuring_again_replaces_the_handler(stream: io.StringIO) -> None:
    configure_logging("info", "text", stream=stream)
    configure_logging("info", "text", stream=stream)
    logging.getLogger("daemon.test").info("serve-stopped")
    assert stream.getvalue().count("serve-stopped") == 1
