"""The actors: plain async generators over batches of records, their dependencies arguments; wired in soulcaster/app.py."""
