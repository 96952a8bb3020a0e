"""Replay a trace of jobs against recorded intensity under another policy, with the planner's own code on a manual clock."""
