"""What runs on a node: a spec file in, a run directory out.

This part knows nothing of the daemon. The modules the daemon imports (spec, rundir, outcome, energy)
never import torch.
"""
