"""Every Faust table, in one place: `seen` and `clusters`, both kept as segments (soulcaster/domain/segments.py)."""
