"""Package managers say where their registries are; scripts stand in for them."""

import shutil
import zipfile
from pathlib import Path

import pytest

from soulcaster.fixer.sandbox.registries import registry_hosts


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


async def test_each_manager_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "python3", "echo https://index.example/simple https://files.example")
    program(folder, "npm", "echo https://npm.example/")
    program(folder, "go", "echo https://goproxy.example,direct; echo sums.example")
    maven = tmp_path / "maven"
    (maven / "bin").mkdir(parents=True)
    (maven / "lib").mkdir()
    program(maven / "bin", "mvn", "exit 1")
    with zipfile.ZipFile(maven / "lib" / "maven-model-builder-3.8.jar", "w") as jar:
        jar.writestr(
            "org/apache/maven/model/pom-4.0.0.xml", "<project><url>https://central.example/maven2</url></project>"
        )
    hosts = await registry_hosts(f"{folder}:{maven / 'bin'}")
    assert hosts == {
        *("index.example", "files.example", "npm.example", "goproxy.example", "sums.example", "central.example"),
        "registry.yarnpkg.com",
    }


async def test_one_that_fails_has_none(tmp_path: Path) -> None:
    program(tmp_path, "npm", "echo https://npm.example/; exit 1")
    program(tmp_path, "go", "exec 2>&1; no-such-program")
    assert await registry_hosts(str(tmp_path)) == {"registry.yarnpkg.com"}


async def test_the_pip_of_this_machine_says_where_its_index_is() -> None:
    found = shutil.which("python3")
    if found is None:
        pytest.skip("there is no python3 here")
    hosts = await registry_hosts(str(Path(found).parent))
    assert hosts, "pip has an index"
