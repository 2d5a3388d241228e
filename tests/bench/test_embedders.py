"""The bench of embedders measures each in a process of its own."""

from soulcaster.bench.embedders import EmbedderFigures, measure


def test_an_embedder_is_measured() -> None:
    reported: list[str] = []
    (found,) = measure(["static"], 0.05, reported.append)
    assert reported == ["static"]
    assert isinstance(found, EmbedderFigures)
    assert (found.embedder, found.dimensions) == ("static", 256)
    assert found.short_per_s > found.long_per_s > 0
    assert found.megabytes > 50
