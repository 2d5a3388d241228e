"""One outside system a file, each behind a port of soulcaster/ports.py."""
