"""`make audit`: which of the locked packages have known vulnerabilities, by pip-audit and the OSV database.

A package that could not be looked up is no clean one: then the audit fails, and says so.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path("requirements.lock")
SERVICE = "https://api.osv.dev/v1/query"
TIMEOUT_SECONDS = 15
"""Time limit of one request to the service."""

CLEAN, FOUND, NOT_AUDITED = 0, 1, 2
"""Exit codes."""


def audit(lock: Path, service: str) -> tuple[int, str]:
    """Return the exit code, and what was found, or why nothing could be."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--osv-url", service, "--timeout", str(TIMEOUT_SECONDS)]
    command += ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own command
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines()
        why = said[-1] if said else f"pip-audit ended with exit code {done.returncode}"
        return NOT_AUDITED, f"Nothing was audited: {service} does not answer, or not as it should.\n  {why}"
    skipped = [package for package in packages if "skip_reason" in package]
    found = [package for package in packages if package.get("vulns")]
    lines = [f"{package['name']}: not audited: {package['skip_reason']}" for package in skipped]
    lines += [_line(package, vulnerability) for package in found for vulnerability in package["vulns"]]
    lines.append(f"{len(packages)} packages: {len(found)} with known vulnerabilities, {len(skipped)} not audited.")
    return (NOT_AUDITED if skipped or not packages else FOUND if found else CLEAN), "\n".join(lines)


def _line(package: dict[str, Any], vulnerability: dict[str, Any]) -> str:
    mended = ", ".join(vulnerability["fix_versions"]) or "nowhere yet"
    names = ", ".join((vulnerability["id"], *vulnerability["aliases"]))
    return f"{package['name']} {package['version']}: {names}; mended in {mended}"


if __name__ == "__main__":
    code, text = audit(LOCK, SERVICE)
    print(text)  # noqa: T201  the result
    sys.exit(code)
