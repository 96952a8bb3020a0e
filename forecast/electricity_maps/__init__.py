"""Electricity Maps over HTTP: its client, its answers, and what its refusals mean."""
