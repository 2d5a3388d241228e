"""The image of jobs that `make fixer-image` builds: its tools work in the sandbox of a job."""

import os
from collections.abc import Iterator

import pytest

from tests.support.containers import Image

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif("SOULCASTER_TEST_IMAGE" not in os.environ, reason="`make fixer-image` builds and tests it"),
]

TOOLS = ("git --version", "python3 -m venv /tmp/v", "node --version", "npm --version", "go version", "cargo --version")
MORE_TOOLS = ("java -version", "mvn --version", "make --version", "cc --version", "kilo --version")

IN_A_SANDBOX = """
import asyncio, pathlib, sys, tempfile
from soulcaster.fixer.sandbox.bubblewrap import BubblewrapSandbox
from soulcaster.ports.sandbox import SandboxLimits, Tree

work, home = (pathlib.Path(tempfile.mkdtemp()) for _ in range(2))
ended = asyncio.run(BubblewrapSandbox().run(["sh", "-ec", sys.argv[1]], Tree(work, home), SandboxLimits(seconds=120)))
print(ended.tail, ended.why)
sys.exit(ended.code)
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    image = Image("fixer", tmp_path_factory.mktemp("containers"))
    yield image
    image.remove()


async def test_every_tool_works_in_the_sandbox_of_a_job(image: Image) -> None:
    commands = "; ".join(("test $(id -u) = 1000", *TOOLS, *MORE_TOOLS, "touch /usr/x && exit 3 || true"))
    container = image.container("-c", IN_A_SANDBOX, commands, program="python3")
    assert await container.complete() == 0, container.output


async def test_it_runs_a_job_when_nothing_else_is_said(image: Image) -> None:
    container = image.container()
    assert await container.complete() == 1
    assert "JOB_ID" in container.output
