"""Where `soulcaster run` keeps its data by default. On its own, because settings take half a second to import."""

from pathlib import Path

DEFAULT_DATA_DIR = Path(".soulcaster")
