"""What a person asks of a cluster, and what became of it."""
