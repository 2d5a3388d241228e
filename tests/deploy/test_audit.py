"""`make audit` against a service of the tests' own that speaks OSV's JSON."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deploy.audit import FOUND, LOCK, NOT_AUDITED, audit
from soulcaster.dev.loopback import free_port

HASH = "sha256:" + "0" * 64
LEAKY = "aiokafka"
KNOWN = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2026-1"],
    "summary": "It leaks.",
    "affected": [
        {
            "package": {"name": LEAKY, "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1000.0"}]}],
        }
    ],
}


class Service:
    """OSV with one vulnerability, in `LEAKY`; it fails for the package that is named `fails`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = service.answer(query["package"]["name"], query["version"])
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1/query"

    def answer(self, name: str, version: str) -> tuple[int, Any]:
        self.asked.append(f"{name}=={version}")
        if name == "fails":
            return 503, {}
        return 200, {"vulns": [KNOWN]} if name == LEAKY else {}


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    thread = Thread(target=service.server.serve_forever, daemon=True)
    thread.start()
    yield service
    service.server.shutdown()
    service.server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what pip-audit remembers of one test from the next."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def lock_of(folder: Path, *names: str) -> Path:
    lock = folder / "requirements.lock"
    lock.write_text("".join(f"{name}==1.0 \\\n    --hash={HASH}\n" for name in names))
    return lock


def test_every_package_of_the_lock_file_is_asked_for_and_what_is_known_is_named(service: Service) -> None:
    code, text = audit(LOCK, service.address)
    assert code == FOUND
    known, summary = text.splitlines()
    assert known.startswith(f"{LEAKY} ")
    assert known.endswith(": CVE-2026-1, GHSA-aaaa-bbbb-cccc; mended in 1000.0")
    assert summary == f"{len(service.asked)} packages: 1 with known vulnerabilities, 0 not audited."
    assert len(service.asked) > 100


def test_a_service_that_fails_is_no_clean_bill(tmp_path: Path, service: Service) -> None:
    code, text = audit(lock_of(tmp_path, "fine", "fails"), service.address)
    assert code == NOT_AUDITED
    assert "does not answer" in text or "not audited" in text


def test_a_service_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}/v1/query"
    code, text = audit(lock_of(tmp_path, "fine"), address)
    assert code == NOT_AUDITED
    assert text.startswith(f"Nothing was audited: {address} does not answer")
