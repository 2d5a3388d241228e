"""Jobs: a coding agent's work on a cluster."""
