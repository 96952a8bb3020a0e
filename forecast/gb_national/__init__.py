"""The national carbon intensity API of Great Britain's system operator: its answers, and a client."""
