"""What a program sees of the machine, and what happens where it would see all of it."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from soulcaster.launcher.backends.local import bubblewrap
from soulcaster.launcher.backends.local.backend import Local
from soulcaster.ports.launch_backend import Launch, LaunchRefused
from tests.support.launch_backends import make_launch
from tests.support.launch_local import (
    LocalMachine,
    end_of,
    isolation_works,
    needs_isolation,
    run,
    running,
)

WHOLE_MACHINE = (
    "sys/vm/",
    "sys/dev/",
    "sys/fs/suid",
    "sys/kernel/core_pattern",
    "sys/kernel/modprobe",
    "sys/kernel/panic",
)
"""Settings in /proc that no namespace has for itself, and that decide what the kernel runs or gives away."""


async def says(machine: LocalMachine) -> Any:
    """Return what the machine's program prints as JSON."""
    ended = await run(machine)
    assert ended.reason == "it ended with exit code 0", ended
    return json.loads(ended.output)


async def test_its_input_is_empty(tmp_path: Path) -> None:
    program = "import json, sys; print(json.dumps(sys.stdin.read()))"
    assert await says(LocalMachine(tmp_path, program, isolated=isolation_works())) == ""


@needs_isolation
async def test_it_sees_no_file_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    secrets = [str(tmp_path / "secret"), str(tmp_path / "jobs"), "/etc/shadow", "/etc/ssl/private", "/sys", "/run"]
    program = f"""
import json, os
print(json.dumps([[path for path in {secrets!r} if os.path.exists(path)], os.listdir("/"), os.listdir("/dev/shm"),
    os.listdir(os.path.expanduser("~")), os.listdir("/tmp"), [p for p in os.listdir("/proc") if p.isdigit()]]))
"""
    found, root, *empty, processes = await says(LocalMachine(tmp_path, program))
    assert found == []
    python = {Path(prefix).parts[1] for prefix in (sys.prefix, sys.base_prefix, bubblewrap.__file__)}
    assert set(root) <= {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr"} | {"dev", "etc", "proc"} | {
        "job",
        "tmp",
        *python,
    }
    of_program = {Path(place).parts[2] for place in (sys.prefix, bubblewrap.__file__) if Path(place).parts[1] == "tmp"}
    *others, tmp = empty
    assert others == [[], []]
    assert set(tmp) <= of_program, "where the program itself is in /tmp, the way to it shows"
    assert processes == ["1", "2"]


@needs_isolation
async def test_it_sees_tools_without_their_credentials(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    (tool / "bin").mkdir(parents=True)
    (tool / "bin" / "say").write_text("#!/bin/sh\necho said\n")
    (tool / "bin" / "say").chmod(0o755)
    (tool / "credentials.toml").write_text("secret")
    program = f"""
import json, subprocess
said = subprocess.run(["say"], capture_output=True, text=True).stdout
try:
    open("{tool}/new", "w")
except OSError as error:
    print(json.dumps([said, open("{tool}/credentials.toml").read(), error.strerror]))
"""
    machine = LocalMachine(tmp_path, program, tools=[tool])
    assert await says(machine) == ["said\n", "", "Read-only file system"]


@needs_isolation
async def test_it_writes_to_its_own_folders_only(tmp_path: Path) -> None:
    program = """
import json, os
written = []
places = [line.split()[1] for line in open("/proc/self/mounts")] + ["/etc", "/usr/bin", "/root", "/home"]
for place in places:
    try:
        open(place + "/new", "w").close()
    except OSError:
        continue
    written.append(place)
print(json.dumps(written))
"""
    assert sorted(await says(LocalMachine(tmp_path, program))) == ["/dev/shm", "/job", "/tmp"]  # noqa: S108


@needs_isolation
async def test_it_cannot_change_the_kernel_and_has_no_capability(tmp_path: Path) -> None:
    program = """
import json, os
files = [os.path.join(root, name) for root, folders, names in os.walk("/proc") for name in names
         if not root.split("/")[2:3] or not root.split("/")[2].isdigit()]
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
try:
    open("/proc/1/mem", "rb").close()
    guard = "open to all"
except PermissionError:
    guard = "closed"
print(json.dumps([[path for path in files if os.access(path, os.W_OK)],
    {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16},
    os.getuid(), status["NoNewPrivs"], guard]))
"""
    writable, none, user, no_new, guard = await says(LocalMachine(tmp_path, program))
    assert [path for path in writable if path.startswith(tuple(f"/proc/{name}" for name in WHOLE_MACHINE))] == []
    assert (none, user, no_new, guard) == (True, 1000, "1", "closed")


@needs_isolation
async def test_folders_that_are_hidden_are_empty_even_inside_of_python(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=sys.prefix) as data:
        (Path(data) / "secrets.key").write_text("secret")
        command = [sys.executable, "-c", f"import json, os; print(json.dumps(os.listdir({data!r})))"]
        for hidden, seen in (([], ["secrets.key"]), ([Path(data)], [])):
            backend, launch = Local(tmp_path / "jobs", command, hidden=hidden), make_launch()
            await backend.launch(launch)
            assert json.loads((await end_of(backend, launch)).output) == seen


@needs_isolation
async def test_it_runs_our_own_program(tmp_path: Path) -> None:
    machine = LocalMachine(tmp_path, command=[sys.executable, "-m", "soulcaster", "topics", "--help"])
    assert (await run(machine)).reason == "it ended with exit code 0"


async def test_supervisors_have_no_variable_of_the_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_LAUNCHER", "secret")
    machine = LocalMachine(tmp_path, isolated=isolation_works())
    async with running(machine) as (_, launch):
        start = machine.folder(launch).start()
        assert start is not None
        supervisor = psutil.Process(start.pid)
        assert "secret" not in supervisor.environ().values()
        assert launch.token not in " ".join([*supervisor.cmdline(), *supervisor.environ().values()])
        assert all(launch.token not in " ".join(process.cmdline()) for process in machine.all_processes(launch))
        kept = [path.read_bytes() for path in machine.folder(launch).path.iterdir() if path.is_file()]
        assert all(launch.token.encode() not in text for text in kept)


async def test_without_isolation_nothing_starts_unless_a_setting_allows_it(tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho no permission to make a namespace >&2\nexit 1\n")
    broken.chmod(0o755)
    refusing = Local(tmp_path / "jobs", ["true"], bubblewraps=[broken, tmp_path / "none"])
    launch = make_launch()
    with pytest.raises(LaunchRefused, match=r"not be isolated.*no permission to.*SOULCASTER_LOCAL_WITHOUT_ISOLATION"):
        await refusing.launch(launch)
    assert (await refusing.observe(launch)).state == "gone"
    assert not (tmp_path / "jobs").exists()
    allowed = Local(tmp_path / "jobs", ["true"], bubblewraps=[broken], without_isolation=True)
    with capture_logs() as logs:
        for one in (launch, make_launch()):
            await allowed.launch(one)
            assert (await end_of(allowed, one)).reason == "it ended with exit code 0"
    [warning] = logs
    assert warning["log_level"] == "warning"
    assert "not isolated" in warning["event"]


@needs_isolation
async def test_where_isolation_works_it_is_used_whatever_the_setting(tmp_path: Path) -> None:
    backend, launch = Local(tmp_path / "jobs", ["pwd"], without_isolation=True), make_launch()
    await backend.launch(launch)
    assert (await end_of(backend, launch)).output == "/job\n"


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    ended = await run(LocalMachine(tmp_path, command=["no-such-program"], isolated=isolation_works()))
    assert ended.reason == "no-such-program could not be started: No such file or directory"


@needs_isolation
@pytest.mark.parametrize("broken", ["#!/bin/sh\necho no more namespaces\nexit 1\n", None])
async def test_a_bubblewrap_that_works_no_more(tmp_path: Path, broken: str | None) -> None:
    bwrap = tmp_path / "bwrap"
    bwrap.symlink_to(bubblewrap.candidates()[0])
    backend = Local(tmp_path / "jobs", ["true"], bubblewraps=[bwrap])
    before, launch = make_launch(), make_launch()
    await backend.launch(before)
    assert (await end_of(backend, before)).reason == "it ended with exit code 0"
    bwrap.unlink()
    if broken:
        bwrap.write_text(broken)
        bwrap.chmod(0o755)
    await backend.launch(launch)
    ended = await end_of(backend, launch)
    assert ended.reason.startswith("it could not be started: ")
    assert ended.output == ("no more namespaces\n" if broken else "")


@pytest.mark.parametrize("job_id", ["../elsewhere", "/etc", "", ".hidden", "a" * 63])
async def test_a_key_that_cannot_name_a_folder_is_refused(tmp_path: Path, job_id: str) -> None:
    launch = Launch(job_id, 1, "token", "http://127.0.0.1:8080", 60)
    backend = Local(tmp_path / "jobs", ["true"])
    for call in (backend.launch, backend.observe, backend.stop):
        with pytest.raises(LaunchRefused):
            await call(launch)
