"""The Lowtide service: one database that holds the truth and one tick that acts on it."""

__version__ = "0.1.0"
