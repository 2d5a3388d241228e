"""The Faust tables `seen` and `clusters`; both keep their rows as segments (soulcaster/domain/segments.py)."""
