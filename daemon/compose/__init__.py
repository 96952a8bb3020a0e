"""Puts the daemon together. The only package that names concrete classes."""

from daemon.compose.chores import renew_board
from daemon.compose.grid import open_intensity_store
from daemon.compose.places import Surroundings, surroundings_of
from daemon.compose.rules import make_clock, make_policy
from daemon.compose.whole import Daemon, build_daemon, open_daemon

__all__ = [
    "Daemon",
    "Surroundings",
    "build_daemon",
    "make_clock",
    "make_policy",
    "open_daemon",
    "open_intensity_store",
    "renew_board",
    "surroundings_of",
]
