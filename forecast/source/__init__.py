"""What every source of carbon intensity has in common: the port, what can go wrong, and asking politely."""
