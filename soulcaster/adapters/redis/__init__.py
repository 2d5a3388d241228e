"""What Soulcaster keeps in Redis: the read model, one file for each aggregate, and caches, limits and tokens.

`keys` has every key of the read model, `typed` the commands, `connection` the errors. `read_model` puts the readers and
the writer together.
"""
