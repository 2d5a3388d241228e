"""Soulcaster: a stream of user feedback in, a short ranked list of real problems out."""
