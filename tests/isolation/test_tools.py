"""Folders of tools: which are found and refused, and what in them no program sees."""

from pathlib import Path

import pytest

from soulcaster.errors import BadInput
from soulcaster.isolation.tools import Tools


def make_tool(folder: Path, name: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / name
    program.write_text("#!/bin/sh\necho here\n")
    program.chmod(0o755)
    return folder


def test_tools_outside_of_the_system_are_found_on_the_path(tmp_path: Path) -> None:
    tool = make_tool(tmp_path / "tool", "tool")
    (tmp_path / "flat").mkdir()
    make_tool(tmp_path / "ours", "tool")
    (tmp_path / "shims").mkdir()
    absent = f"{tmp_path}/absent/bin:relative/bin:{tmp_path}/ours/bin:{tmp_path}/shims"
    path = f"/usr/bin:{tool}/bin:{tmp_path}/flat:{absent}:/bin:{tool}/bin"
    tools = Tools.on_path({"PATH": path}, [tmp_path / "ours"])
    assert tools.folders == (tool, tmp_path / "flat")
    assert tools.path == ("/usr/bin", f"{tool}/bin", f"{tmp_path}/flat", "/bin")


def test_rustup_finds_its_toolchains(tmp_path: Path) -> None:
    cargo, rustup = make_tool(tmp_path / ".cargo", "rustup"), tmp_path / ".rustup"
    (rustup / "toolchains").mkdir(parents=True)
    tools = Tools.on_path({"PATH": f"{cargo}/bin", "HOME": str(tmp_path)})
    assert tools.folders == (cargo, rustup)
    assert tools.environment() == {"RUSTUP_HOME": str(rustup)}


def test_a_home_is_no_tool(tmp_path: Path) -> None:
    home = make_tool(tmp_path / "home", "tool")
    (home / ".ssh").mkdir()
    assert Tools.on_path({"PATH": f"{home}/bin"}).folders == ()
    with pytest.raises(BadInput, match="somebody's home"):
        Tools.of([home])


@pytest.mark.parametrize("folder", ["/home", "/", "relative", "/absent"])
def test_what_is_no_folder_of_tools_is_refused(folder: str) -> None:
    with pytest.raises(BadInput, match=folder):
        Tools.of([Path(folder)])


def test_files_of_credentials_are_covered_by_valid_empty_ones(tmp_path: Path) -> None:
    tool = make_tool(tmp_path / "tool", "tool")
    for name in ("credentials.toml", "conf/settings.xml", "conf/AUTH.json", "Cargo.toml", "a/b/c/auth.json"):
        (tool / name).parent.mkdir(parents=True, exist_ok=True)
        (tool / name).write_text("secret")
    words = list(Tools.of([tool]).words(tmp_path / "empty"))
    shown = dict(zip(words[2::3], words[1::3], strict=True))
    assert shown.pop(str(tool)) == str(tool)
    assert {str(Path(where).relative_to(tool)): Path(what).name for where, what in shown.items()} == {
        "credentials.toml": "empty",
        "conf/settings.xml": "empty.xml",
        "conf/AUTH.json": "empty.json",
    }
