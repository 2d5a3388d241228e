"""How a bench says how far it is."""

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Gets what is done now, how much of it is done, and how much it is in all."""
