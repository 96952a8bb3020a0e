"""Adapters that run attempts. Each keeps the contract in daemon.domain.execution; none knows another."""
