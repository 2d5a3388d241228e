"""The actors: plain async generators over batches, their dependencies arguments; wired in soulcaster/app.py."""
