"""A replay service: recorded intensity served over a real socket in the Electricity Maps v4 HTTP contract, with switchable faults.

For tests, for `lowtide demo` and for any dry run. Past values are the recorded ones; its *forecasts are synthetic*
(see `vendor_forecast`), because the provider keeps no historical forecasts.
"""

from forecast.replay.faults import Fault
from forecast.replay.recording import Recording
from forecast.replay.server import ReplayServer

__all__ = ["Fault", "Recording", "ReplayServer"]
