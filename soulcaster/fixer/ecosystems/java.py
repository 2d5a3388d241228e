"""Java: Maven or Gradle, by the repository's own wrapper where it has one; Surefire's and Gradle's JUnit XML."""

import re
import shlex
from collections.abc import Sequence

from soulcaster.fixer.ecosystems.reading import StrangersFolder
from soulcaster.fixer.ecosystems.suite import Ecosystem, Suite, joined

_MAVEN_PRELUDE = 'export MAVEN_OPTS="${MAVEN_OPTS:-} -Duser.home=$HOME"'
_GRADLE_PRELUDE = 'export GRADLE_USER_HOME="$HOME/gradle" GRADLE_OPTS="${GRADLE_OPTS:-} -Duser.home=$HOME"'

_RESULTS = {"maven": "*/target/surefire-reports/TEST-*.xml", "gradle": "*/build/test-results/*/TEST-*.xml"}
_CLASS = re.compile(r"(?P<name>[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*)::.*", re.DOTALL)


def detect(tree: StrangersFolder, folder: str) -> Suite | None:
    """Return the suite of a Maven project, else of a Gradle project."""
    if tree.has(joined(folder, "pom.xml")):
        return _maven(folder, "sh ./mvnw" if tree.has(joined(folder, "mvnw")) else "mvn")
    for name in ("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"):
        if tree.has(joined(folder, name)):
            return _gradle(folder, name, "sh ./gradlew" if tree.has(joined(folder, "gradlew")) else "gradle")
    return None


def _maven(folder: str, maven: str) -> Suite:
    """Return Maven's suite; the set-up runs the tests once, because Surefire fetches its runner only for that."""
    command = f"{maven} -B -o --fail-at-end test"
    return Suite(
        ecosystem="java",
        folder=folder,
        why=f"pom.xml, by {maven}",
        setup=f"{maven} -B -q -Dmaven.test.failure.ignore=true test",
        test=_fresh("maven", command),
        report="junit",
        prelude=_MAVEN_PRELUDE,
        collect=_collect("maven"),
        rerun=lambda failed: _rerun(command, failed),
    )


def _rerun(command: str, failed: Sequence[str]) -> str | None:
    """Return the command for the classes of the failed tests."""
    found = [_CLASS.fullmatch(name) for name in failed]
    if not all(found):
        return None
    classes = ",".join(sorted({match["name"] for match in found if match}))
    quiet = "-Dsurefire.failIfNoSpecifiedTests=false -DfailIfNoTests=false"
    return _fresh("maven", f"{command} '-Dtest={classes}' {quiet}")


def _gradle(folder: str, found: str, gradle: str) -> Suite:
    """Return Gradle's suite; the set-up runs the tests once, because what only they need is resolved only then."""
    return Suite(
        ecosystem="java",
        folder=folder,
        why=f"{found}, by {gradle}",
        setup=f"{gradle} --no-daemon --quiet testClasses\n{gradle} --no-daemon --quiet --continue test || true",
        test=_fresh("gradle", f"{gradle} --no-daemon --offline --continue cleanTest test"),
        report="junit",
        prelude=_GRADLE_PRELUDE,
        collect=_collect("gradle"),
    )


def _fresh(tool: str, command: str) -> str:
    return f"find . -path '{_RESULTS[tool]}' -type f -exec rm -f {{}} +\n{command}"


def _collect(tool: str) -> str:
    return collect_reports(_RESULTS[tool])


def collect_reports(pattern: str) -> str:
    """Return shell code that copies the files of a pattern (that of `find -path`) to the reports, each by a number."""
    return (
        "number=0\n"
        f"find . -path {shlex.quote(pattern)} -type f -size -65536 | head -n 10000 | while IFS= read -r file; do\n"
        '  number=$((number + 1)); cp -- "$file" "$REPORTS/$number.xml"\ndone'
    )


ECOSYSTEM = Ecosystem(
    name="java",
    detect=detect,
    manifests=("pom.xml", "*.gradle", "*.gradle.kts", "gradle.properties", "gradle.lockfile", "libs.versions.toml"),
)
