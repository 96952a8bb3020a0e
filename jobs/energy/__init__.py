"""Energy of a run: metering it on the node, and predicting it before the run.

The model (`flops`, `features`, `hardware`, `prediction`, `overheads`, `learning`, `estimate`, `model`, `observation`) also runs in
the daemon, metering starts before torch does: neither imports torch, pandas or carbontracker. Profiling (`workbench`, `measuring`,
`overhead_measuring`, `profiling`) and `carbontracker_bridge` do, and are imported on the node only when they are needed.
"""
