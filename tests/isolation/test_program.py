import pytest

from soulcaster.isolation.program import how_it_ended


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "it ended with exit code 0"),
        (3 << 8, "it ended with exit code 3"),
        (11, "it was killed by SIGSEGV"),
        (40, "it was killed by signal 40"),
    ],
)
def test_an_end_in_words(status: int, words: str) -> None:
    assert how_it_ended(status) == words
