"""Records that could not be processed, and replaying them."""
