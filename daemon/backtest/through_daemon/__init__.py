"""The daemon itself replays a trace: its intake, tick, planner, store and ledger on a moved clock, at sites that work as the trace says."""
