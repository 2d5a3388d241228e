"""Leads AWS's clients to servers on loopback."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import botocore.loaders
import botocore.session
import pytest

_LOADER = botocore.loaders.create_loader()
"""AWS's descriptions of its services, read once for all tests: it takes a tenth of a second."""


def lead_aws_to(endpoint: str, patch: pytest.MonkeyPatch) -> None:
    """Have AWS's clients call a server on loopback; nothing that this machine knows of AWS then matters to them."""
    patch.setattr(botocore.session, "create_loader", lambda *_: _LOADER)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    variables = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIAOFTHETESTS",
        "AWS_SECRET_ACCESS_KEY": "not a real one",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    for name, value in variables.items():
        patch.setenv(name, value)


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto's AWS and give its address; it forgets nothing as long as the process lives."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer  # takes seconds, which few tests need

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
