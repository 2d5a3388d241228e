from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retry without waiting in between, at most 50 times."""
    with stamina.set_testing(True, attempts=50):
        yield
