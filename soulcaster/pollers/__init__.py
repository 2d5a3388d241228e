"""Pollers: programs that read a source and post what is new to our HTTP API, as any other client could."""
