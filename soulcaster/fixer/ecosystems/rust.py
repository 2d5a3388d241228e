"""Rust: `cargo test`; what it prints is the report, because its JSON is not stable."""

import re
import shlex
from collections.abc import Sequence

from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import PRINTED, Ecosystem, Suite, joined

_PRELUDE = 'export CARGO_HOME="$HOME/cargo" CARGO_TARGET_DIR="$HOME/cargo-target" CARGO_TERM_COLOR=never'
_TEST = re.compile(r"(?:.*::)?(?P<test>[a-z_]\w*(?:::\w+)*)")


def detect(tree: StrangersFolder, folder: str) -> Suite | None:
    """Return the suite of a Cargo package or workspace."""
    if not tree.has(joined(folder, "Cargo.toml")):
        return None
    locked = tree.has(joined(folder, "Cargo.lock"))
    workspace = " --workspace" if "workspace" in tree.toml(joined(folder, "Cargo.toml")) else ""
    command = f"cargo test --offline --no-fail-fast{workspace}"
    return Suite(
        ecosystem="rust",
        folder=folder,
        why="Cargo.toml with Cargo.lock" if locked else "Cargo.toml",
        setup=f"cargo fetch{' --locked' if locked else ''}\ncargo test --no-run{workspace}",
        test=_reported(command),
        report="cargo",
        prelude=_PRELUDE,
        rerun=lambda failed: _rerun(command, failed),
    )


def _reported(command: str) -> str:
    return f"{command} >{PRINTED} 2>&1; code=$?; tail -c 16384 {PRINTED}; exit $code"


def _rerun(command: str, failed: Sequence[str]) -> str | None:
    """Return the command for the failed tests; for all, where one of them is in documentation."""
    names = [name.partition(" > ")[2] for name in failed]
    if not all(_TEST.fullmatch(name) for name in names):
        return None
    return _reported(f"{command} -- --exact {' '.join(map(shlex.quote, sorted(set(names))))}")


ECOSYSTEM = Ecosystem(
    name="rust",
    detect=detect,
    manifests=("Cargo.toml", "Cargo.lock", "rust-toolchain", "rust-toolchain.toml"),
)
