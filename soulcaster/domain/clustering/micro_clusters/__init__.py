"""Micro-clusters, and the index that finds the nearest."""
