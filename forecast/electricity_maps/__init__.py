"""Electricity Maps over HTTP: its client, its errors, and what a key turns out to be allowed to read."""
