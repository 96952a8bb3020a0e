"""Energy of a run: metering it on the node, and predicting it before the run.

Metering (`metering` and its sources) runs on the node. The model (`flops`, `hardware`, `model`) also runs in the daemon,
so nothing here imports torch, pandas or carbontracker when it is imported.
"""
