"""What the service does: accept, tick, settle, query, report. The edges (api, cli) speak to this only."""
