"""The nouns and rules of the service: no I/O, no clock."""
