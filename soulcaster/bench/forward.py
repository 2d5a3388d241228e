"""The yardstick: a bare Faust agent that forwards each event with `topic.send`; run in its own process."""

import sys

import faust

IN, OUT = "bench.in", "bench.out"


def create_app(kafka: str, partitions: int) -> faust.App:
    """Return the app, with Faust's default settings where the bench does not need others."""
    app = faust.App(
        "bench-forward",
        broker=f"kafka://{kafka}",
        autodiscover=False,
        web_enabled=False,
        topic_partitions=partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=12.0,
        value_serializer="raw",
    )
    source = app.topic(IN, key_type=bytes, value_type=bytes)
    sink = app.topic(OUT, key_type=bytes, value_type=bytes)

    async def forward(stream: "faust.Stream[bytes]") -> None:
        async for value in stream:
            await sink.send(value=value)

    app.agent(source)(forward)
    return app


if __name__ == "__main__":
    faust.Worker(create_app(sys.argv[1], int(sys.argv[2])), loglevel="WARNING").execute_from_commandline()
