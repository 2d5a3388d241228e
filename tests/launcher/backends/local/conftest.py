import pytest

from tests.support.launch_local import needs_isolation


@pytest.fixture(params=[pytest.param(True, marks=needs_isolation), False], ids=["isolated", "not isolated"])
def isolated(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)
