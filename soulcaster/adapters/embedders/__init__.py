"""Embedders: one file each."""
