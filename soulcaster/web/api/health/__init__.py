"""Whether the server is up, and whether the systems it needs answer."""
