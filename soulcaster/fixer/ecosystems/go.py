"""Go: `go test -json`, which reports every test of every package."""

import re
import shlex
from collections.abc import Sequence

from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import PRINTED, Ecosystem, Suite, joined

_PRELUDE = """\
export GOPATH="$HOME/go" GOCACHE="$HOME/go-build" GOFLAGS="${GOFLAGS:+$GOFLAGS }-modcacherw\""""

_TEST = re.compile(r"(?P<package>[^\s:]+)::(?P<test>[A-Z]\w*)(/.*)?", re.DOTALL)


def detect(tree: StrangersFolder, folder: str) -> Suite | None:
    """Return the suite of a Go module, or of a workspace whose modules are at its root."""
    if not tree.has(joined(folder, "go.mod")):
        return None
    return Suite(
        ecosystem="go",
        folder=folder,
        why="go.mod",
        setup="go mod download\ngo test -count=1 -run '^$' ./... >/dev/null 2>&1 || true  # only to have it compiled",
        test=_command("./..."),
        report="go",
        prelude=_PRELUDE,
        rerun=_rerun,
    )


def _command(which: str) -> str:
    return f"go test -json -count=1 {which} >{PRINTED}; code=$?; exit $code"


def _rerun(failed: Sequence[str]) -> str | None:
    """Return the command for the failed tests; for all, where a package failed as a whole."""
    found = [_TEST.fullmatch(name) for name in failed]
    if not all(found):
        return None
    packages = sorted({match["package"] for match in found if match})
    tests = sorted({match["test"] for match in found if match})
    return _command(f"-run '^({'|'.join(tests)})$' {' '.join(map(shlex.quote, packages))}")


ECOSYSTEM = Ecosystem(
    name="go",
    detect=detect,
    manifests=("go.mod", "go.sum", "go.work", "go.work.sum"),
)
