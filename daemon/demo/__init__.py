"""`lowtide demo`: the daemon's main job on replayed real intensity, with nothing staged.

The same daemon, planner, node and ledger as in production, driven over HTTP; only the provider of intensity is a
replay, and the grid's clock runs fast.
"""
