"""make: for repositories of C and of anything else whose tests are a target; only the exit code is known."""

import re

from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import Ecosystem, Suite, joined

_TARGET = re.compile(r"^(?P<names>[\w./ -]++)[ \t]*+::?(?!=)", re.MULTILINE)
_TARGETS = ("test", "check", "tests")
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")


def detect(tree: StrangersFolder, folder: str) -> Suite | None:
    """Return the suite of a Makefile with a target for tests, or of a `configure` that will write one."""
    files, _ = tree.names(folder)
    configure = "configure" in files
    for name in (*_MAKEFILES, *(("Makefile.in",) if configure else ())):
        if name not in files:
            continue
        targets = {
            word for found in _TARGET.finditer(tree.text(joined(folder, name))) for word in found["names"].split()
        }
        target = next((target for target in _TARGETS if target in targets), None)
        if target is None and name == "Makefile.in":
            target = "check"
        if target is not None:
            return Suite(
                ecosystem="make",
                folder=folder,
                why=f"{name} with the target {target}",
                setup="sh ./configure" if configure and name == "Makefile.in" else ":",
                test=f"make {target}",
                silent_success="passed",
            )
    return None


ECOSYSTEM = Ecosystem(
    name="make",
    detect=detect,
    manifests=("configure", "configure.ac", "Makefile.am", "Makefile.in"),
)
