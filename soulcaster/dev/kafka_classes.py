"""An archive of the classes that Kafka loads (Java's class-data sharing): with it Kafka starts in half the CPU time.

`python -m soulcaster.dev.kafka_classes` makes it, in 15 s of CPU time, and puts its 60 MB beside the jars. Every Kafka
that starts here afterwards uses it.
"""

import asyncio
import subprocess
import tempfile
from pathlib import Path

from soulcaster.dev.kafka import Kafka, java_with_kafka
from soulcaster.dev.kafka_install import class_archive, fetch_jars, find_java
from soulcaster.dev.loopback import free_port
from soulcaster.errors import StackError

DUMP_SECONDS = 300.0


async def make_class_archive() -> Path:
    """Make the archive, unless it is there, and return it.

    Raises:
        StackError: Kafka could not be downloaded or started, or Java made no archive.
    """
    java, jars = find_java(), fetch_jars()
    archive = class_archive(java, jars)
    if archive.exists():
        return archive
    with tempfile.TemporaryDirectory(prefix="soulcaster-") as folder:
        here = Path(folder)
        loaded, made = here / "classes", archive.with_suffix(".new")
        options = [f"-XX:DumpLoadedClassList={loaded}"]
        kafka = Kafka(here / "kafka", here / "log", port=free_port(), controller_port=free_port(), java_options=options)
        try:
            await kafka.start()
        finally:
            await kafka.stop()
        dump = ["-Xshare:dump", f"-XX:SharedClassListFile={loaded}", f"-XX:SharedArchiveFile={made}"]
        done = await asyncio.to_thread(
            subprocess.run,
            [*java_with_kafka(java, jars), *dump],
            capture_output=True,
            text=True,
            timeout=DUMP_SECONDS,
            check=False,
        )
    if done.returncode or not made.exists():
        raise StackError(f"Java made no archive of Kafka's classes: {(done.stderr or done.stdout)[-300:]}")
    made.replace(archive)  # whoever starts meanwhile sees a whole archive or none
    return archive


if __name__ == "__main__":
    try:
        asyncio.run(make_class_archive())
    except StackError as error:
        print(f"Kafka will start without an archive of its classes. {error}")  # noqa: T201  a program of one sentence
