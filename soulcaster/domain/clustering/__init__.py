"""Grouping items into clusters, online and pure: vectors in, assignments out."""
