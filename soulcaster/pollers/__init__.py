"""Pollers: programs of their own that read a source and post what is new to our HTTP API, as anybody could."""
