"""Clusters of items, online and pure: vectors in, events and rows out. docs/clustering.md explains the method.

`project` holds all of a project; `clusterer` clusters the items of one embedder.
"""
