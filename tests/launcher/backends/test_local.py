"""Programs as real processes: their limits, what they see, and who may die when."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from soulcaster.launcher.backends.local import bubblewrap
from soulcaster.launcher.backends.local.backend import SUPERVISOR, Local
from soulcaster.launcher.backends.local.folder import DIED, JobFolder, Start
from soulcaster.launcher.backends.local.meters import DiskMeter
from soulcaster.launcher.backends.local.order import MB, Limits, Order
from soulcaster.launcher.backends.local.supervisor import KEPT_DAYS, tidy
from soulcaster.launcher.backends.local.watch import how_it_ended
from soulcaster.ports.launch_backend import Launch, LaunchRefused, Task
from tests.support.launch_backends import eventually, make_launch
from tests.support.launch_local import PROGRAM, LocalMachine, isolation_works

SMALL = Limits(memory_mb=150, output_mb=1, disk_mb=8, threads=40)

FAMILY = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
os.wait()
{PROGRAM}
"""
"""A program whose grandchild is in another session, has lost its parent, and ignores SIGTERM."""


needs_isolation = pytest.mark.skipif(not isolation_works(), reason="bubblewrap does not work here")


@pytest.fixture(params=[pytest.param(True, marks=needs_isolation), False], ids=["isolated", "not isolated"])
def isolated(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@asynccontextmanager
async def running(machine: LocalMachine, seconds: int = 60, processes: int = 1) -> AsyncIterator[tuple[Local, Launch]]:
    """Launch the machine's program; go on when so many processes of it are there."""
    backend, launch = machine.backend(), make_launch(seconds=seconds)
    await backend.launch(launch)

    async def there() -> bool:
        return len(machine.processes(launch)) == processes and (machine.folder(launch).home / "environment").exists()

    await eventually(there)
    yield backend, launch
    await machine.end()


async def end_of(backend: Local, launch: Launch) -> Task:
    async def is_so() -> bool:
        return (await backend.observe(launch)).state == "ended"

    await eventually(is_so, 15)
    return await backend.observe(launch)


async def run(machine: LocalMachine, seconds: int = 60) -> Task:
    """Run the machine's program to its end."""
    backend, launch = machine.backend(), make_launch(seconds=seconds)
    await backend.launch(launch)
    try:
        ended = await end_of(backend, launch)
    finally:
        await machine.end()
    assert machine.all_processes(launch) == []
    return ended


async def nothing_runs(machine: LocalMachine, launch: Launch) -> None:
    async def is_so() -> bool:
        return machine.all_processes(launch) == []

    await eventually(is_so)


# ---- limits --------------------------------------------------------------------------------------------------------


async def test_time(tmp_path: Path) -> None:
    machine = LocalMachine(tmp_path, "import time; time.sleep(60)", isolated=isolation_works())
    assert (await run(machine, seconds=1)).reason == "it ran longer than 1 s"


async def test_memory_of_all_processes_together(tmp_path: Path, isolated: bool) -> None:
    program = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        break
mine = b"x" * (60 << 20)
time.sleep(60)
"""
    machine = LocalMachine(tmp_path, program, isolated=isolated, limits=SMALL)
    assert (await run(machine)).reason == "it used more than 150 MB of memory"


@needs_isolation
async def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    program = """
import os, time
mine = b"x" * (60 << 20)
children = [os.fork() for _ in range(4)]
if all(children):
    time.sleep(1)  # several measures
    os.killpg(0, 15)
time.sleep(60)
"""
    assert (await run(LocalMachine(tmp_path, program, limits=SMALL))).reason == "it was killed by SIGTERM"


async def test_memory_of_one_process_ends_at_the_kernels_limit(tmp_path: Path) -> None:
    machine = LocalMachine(tmp_path, "bytearray(400 << 20)", isolated=isolation_works(), limits=SMALL)
    ended = await run(machine)
    assert ended.reason == "it ended with exit code 1"
    assert "MemoryError" in ended.output


async def test_processes_and_threads(tmp_path: Path, isolated: bool) -> None:
    program = """
import os, time
for _ in range(50):
    if os.fork() == 0:
        break
time.sleep(60)
"""
    machine = LocalMachine(tmp_path, program, isolated=isolated, limits=SMALL)
    assert (await run(machine)).reason == "it had more than 40 processes and threads"


async def test_output(tmp_path: Path) -> None:
    program = """
while True:
    print("all work and no play" * 100)
"""
    machine = LocalMachine(tmp_path, program, isolated=isolation_works(), limits=SMALL)
    ended = await run(machine)
    assert ended.reason == "it printed more than 1 MB"
    assert "all work and no play" in ended.output
    [folder] = machine.jobs.iterdir()
    assert JobFolder(folder).output.stat().st_size == MB


@needs_isolation
@pytest.mark.parametrize("place", ["~", "/tmp"])  # noqa: S108  a /tmp of its own
async def test_files(tmp_path: Path, place: str) -> None:
    program = f"""
import os, time
place = os.path.expanduser({place!r})
for number in range(10):
    with open(f"{{place}}/{{number}}", "wb") as file:
        file.write(os.urandom(1 << 20))
time.sleep(60)
"""
    machine = LocalMachine(tmp_path, program, limits=SMALL)
    assert (await run(machine)).reason == "its files took more than 8 MB"


async def test_one_file_ends_at_the_kernels_limit(tmp_path: Path) -> None:
    program = """
import os
with open(os.path.expanduser("~/sparse"), "wb") as file:
    file.truncate(17 << 20)
"""
    ended = await run(LocalMachine(tmp_path, program, isolated=isolation_works(), limits=SMALL))
    assert "File too large" in ended.output


# ---- what it sees --------------------------------------------------------------------------------------------------


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
    assert empty == [[], [], []]
    assert processes == ["1", "2"]


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


# ---- killed with -9 ------------------------------------------------------------------------------------------------


def names(folder: JobFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()} if folder.path.is_dir() else set()


@pytest.mark.parametrize("after", ["supervisor.log", "lock"])
async def test_a_killed_launcher_is_followed_by_one_that_starts_nothing_twice(
    tmp_path: Path, after: str, isolated: bool
) -> None:
    machine = LocalMachine(tmp_path, isolated=isolated)
    launch, backend = make_launch(), machine.backend()
    launcher = machine.launcher(launch)
    while after not in names(machine.folder(launch)):
        await asyncio.sleep(0)
    launcher.kill()
    launcher.wait()
    await backend.launch(launch)

    async def is_so() -> bool:
        return await machine.started(launch) == 1

    await eventually(is_so)
    await machine.finish(launch, 0)
    assert (await end_of(backend, launch)).reason == "it ended with exit code 0"
    assert await machine.started(launch) == 1


async def test_with_its_supervisor_everything_dies(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        os.kill(int((await backend.observe(launch)).id.split()[1]), signal.SIGKILL)
        ended = await end_of(backend, launch)
        assert ended.reason == DIED
        await nothing_runs(machine, launch)
        assert await backend.launch(launch) == ended
        await backend.stop(launch)
        assert await backend.observe(launch) == ended


async def test_a_supervisor_killed_before_the_program_started_has_ended_it(tmp_path: Path) -> None:
    machine, launch = LocalMachine(tmp_path, isolated=False), make_launch()
    folder = machine.folder(launch)
    folder.create()
    lock = folder.claim()
    assert lock is not None
    assert (await machine.backend().observe(launch)).state == "starting"
    folder.write_start(Start(4711))
    assert (await machine.backend().observe(launch)).state == "starting"
    lock.close()
    for _ in range(2):
        assert await machine.backend().launch(launch) == Task("process 4711", "ended", DIED)


async def test_a_program_that_is_killed_has_ended(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, isolated=isolated)
    async with running(machine) as (backend, launch):
        [program] = machine.processes(launch)
        program.kill()
        assert (await end_of(backend, launch)).reason == "it was killed by SIGKILL"
        await nothing_runs(machine, launch)


async def test_without_its_guard_everything_dies(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        ours = machine.processes(launch)
        supervisor = psutil.Process(int((await backend.observe(launch)).id.split()[1]))
        for process in supervisor.children(recursive=True):
            if process not in ours:
                process.kill()
        assert "was killed" in (await end_of(backend, launch)).reason
        await nothing_runs(machine, launch)


async def test_what_a_program_leaves_behind_dies_with_it(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        await machine.finish(launch, 7)
        assert (await end_of(backend, launch)).reason == "it ended with exit code 7"
        assert machine.all_processes(launch) == []


async def test_its_files_are_removed_at_the_end(tmp_path: Path) -> None:
    program = """
import os
os.chdir(os.path.expanduser("~"))
os.makedirs("locked/inside")
os.chmod("locked", 0)
os.symlink("/usr", "a-link")
for _ in range(1500):
    os.mkdir("deep")
    os.chdir("deep")
"""
    machine = LocalMachine(tmp_path, program, isolated=isolation_works())
    await run(machine)
    [folder] = machine.jobs.iterdir()

    async def gone() -> bool:
        return not (folder / "files").exists()

    await eventually(gone)
    assert JobFolder(folder).log.read_text() == ""


# ---- stopping ------------------------------------------------------------------------------------------------------


async def test_stopping_ends_the_whole_family(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        await backend.stop(launch)
        assert machine.all_processes(launch) == []
        assert (await backend.observe(launch)).reason == "stopped"


async def test_a_supervisor_that_hangs_is_killed(tmp_path: Path, isolated: bool) -> None:
    machine = LocalMachine(tmp_path, FAMILY, isolated=isolated)
    async with running(machine, processes=2) as (backend, launch):
        os.kill(int((await backend.observe(launch)).id.split()[1]), signal.SIGSTOP)
        await backend.stop(launch)
        await nothing_runs(machine, launch)
        assert (await backend.observe(launch)).reason == DIED


async def test_a_supervisor_that_is_told_to_end_ends_the_program_and_says_so(tmp_path: Path) -> None:
    machine = LocalMachine(tmp_path, isolated=isolation_works())
    async with running(machine) as (backend, launch):
        os.kill(int((await backend.observe(launch)).id.split()[1]), signal.SIGTERM)
        assert (await end_of(backend, launch)).reason == "its supervisor was told to end (SIGTERM)"


# ---- refused -------------------------------------------------------------------------------------------------------


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


# ---- parts ---------------------------------------------------------------------------------------------------------


def supervise(order: bytes) -> None:
    subprocess.run([sys.executable, "-m", SUPERVISOR], input=order, check=True, timeout=20)  # noqa: S603


def test_an_order_that_is_cut_off_starts_nothing(tmp_path: Path) -> None:
    order = Order(tmp_path / "job", (), ("true",), {"JOB_TOKEN": "secret"}, 60, Limits())
    assert Order.from_bytes(order.to_bytes()) == order
    assert "secret" not in repr(order)
    JobFolder(order.folder).create()
    supervise(order.to_bytes()[:-20])
    assert names(JobFolder(order.folder)) == set()


def test_a_supervisor_that_comes_after_a_stop_starts_nothing(tmp_path: Path) -> None:
    order = Order(tmp_path / "job", (), ("true",), {}, 60, Limits())
    JobFolder(order.folder).ask_to_stop()
    supervise(order.to_bytes())
    assert names(JobFolder(order.folder)) == {"lock", "stop"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "it ended with exit code 0"),
        (3 << 8, "it ended with exit code 3"),
        (11, "it was killed by SIGSEGV"),
        (40, "it was killed by signal 40"),
    ],
)
def test_an_end_in_words(status: int, words: str) -> None:
    assert how_it_ended(status) == words


def make_old(folder: JobFolder) -> None:
    long_ago = time.time() - (KEPT_DAYS + 1) * 86_400
    os.utime(folder.path, (long_ago, long_ago))


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Callable[[str], JobFolder]]:
    open_files = []

    def make(kind: str) -> JobFolder:
        folder = JobFolder(tmp_path / kind.replace(" ", "-"))
        folder.create()
        claim = folder.claim()
        assert claim is not None
        if "started" in kind:
            folder.prepare()
            folder.write_start(Start(1))
        if "ended" in kind:
            folder.write_end("it ended")
        if "stopped" in kind:
            folder.ask_to_stop()
        if "running" in kind:
            open_files.append(claim)
        else:
            claim.close()
        if "old" in kind:
            make_old(folder)
        return folder

    yield make
    for file in open_files:
        file.close()


def test_old_folders_are_removed_and_what_died_is_recorded(tmp_path: Path, jobs: Callable[[str], JobFolder]) -> None:
    old_running, died = jobs("old started running"), jobs("started")
    kept = [old_running, died, jobs("started ended"), jobs("stopped"), jobs("running")]
    for gone in ("old started ended", "old stopped", "old started"):
        jobs(gone)
    (tmp_path / "a file").touch()
    tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*(folder.path.name for folder in kept), "a file"}
    assert died.end() == DIED
    assert not died.home.exists()
    assert old_running.end() is None
    assert old_running.home.exists()


def test_a_disk_meter_counts_blocks_and_every_file_once(tmp_path: Path) -> None:
    meter = DiskMeter(tmp_path)
    empty = meter.measure(60)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(os.urandom(300_000))
    (tmp_path / "again").hardlink_to(tmp_path / "folder" / "file")
    (tmp_path / "round").symlink_to(tmp_path)
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(10**9)
    assert 300_000 <= meter.measure(60) - empty <= 330_000


def test_a_disk_meter_walks_on_where_it_was(tmp_path: Path) -> None:
    for number in range(1200):
        (tmp_path / str(number)).write_bytes(b"x")
    whole = DiskMeter(tmp_path).measure(60)
    meter = DiskMeter(tmp_path)
    seen = [meter.measure(0) for _ in range(3)]
    assert seen == sorted(seen)
    assert 0 < seen[0] < whole == seen[-1]
