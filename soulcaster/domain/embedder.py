"""Which embedder a vector is of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbedderKey:
    """An embedder: vectors of two, or of two versions of one, cannot be compared."""

    name: str
    version: str
    dimensions: int

    @property
    def label(self) -> str:
        """Return "name@version"."""
        return f"{self.name}@{self.version}"
