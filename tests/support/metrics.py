"""Reading metrics in tests: by how much they have changed, because a process has one registry."""

from soulcaster.telemetry.declare import REGISTRY

Series = tuple[str, frozenset[tuple[str, str]]]


def samples() -> dict[Series, float]:
    """Return every series of this process with its value."""
    return {(s.name, frozenset(s.labels.items())): s.value for family in REGISTRY.collect() for s in family.samples}


class Growth:
    """By how much series have changed since this was made."""

    def __init__(self) -> None:
        self._before = samples()

    def of(self, name: str, **labels: str) -> float:
        """Return the change of one series."""
        series = name, frozenset(labels.items())
        return samples().get(series, 0.0) - self._before.get(series, 0.0)

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return the change of each series of a name that has changed, by the values of these labels."""
        found = {}
        for (of, values), now in samples().items():
            change = now - self._before.get((of, values), 0.0)
            if of == name and change:
                found[tuple(dict(values)[label] for label in labels)] = change
        return found
