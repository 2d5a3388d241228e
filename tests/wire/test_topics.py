import inspect

from soulcaster.wire.topics import (
    CONTROL,
    DEAD_LETTERS,
    ENVELOPE_BYTES,
    FIX_COMMANDS,
    MAX_MESSAGE_BYTES,
    TABLES,
    TOPICS,
    all_topics,
    changelog,
)
from tests.support.wire import model


def test_names_are_unique_and_the_changelogs_are_there() -> None:
    names = [topic.name for topic in all_topics("app")]
    assert len(set(names)) == len(names)
    assert names[: len(TOPICS)] == [topic.name for topic in TOPICS]
    assert names[len(TOPICS) :] == ["app-seen-changelog", "app-clusters-changelog"]
    assert tuple(TABLES) == ("seen", "clusters")


def test_only_changelogs_and_control_are_compacted() -> None:
    compacted = {topic.name for topic in all_topics("app") if topic.cleanup == "compact"}
    assert compacted == {CONTROL.name, *(changelog("app", table).name for table in TABLES)}
    for topic in all_topics("app"):
        config = topic.config()
        assert config["cleanup.policy"] == topic.cleanup
        assert config["max.message.bytes"] == str(topic.max_bytes)
        # Faust's recovery hangs on a changelog that forgets by time or size.
        assert ("retention.ms" in config) == ("retention.bytes" in config) == (topic.cleanup == "delete")


def test_what_is_kept_for_ever() -> None:
    kept = {topic.name for topic in TOPICS if topic.config().get("retention.ms") == "-1"}
    assert kept == {
        "feedback.items",
        "cluster.commands",
        "cluster.events",
        "job.events",
        "job.documents",
        "dead-letters",
    }
    assert FIX_COMMANDS.config()["retention.ms"] == str(30 * 24 * 3600 * 1000)
    assert all(topic.config().get("retention.bytes", "-1") == "-1" for topic in TOPICS)


def test_sizes() -> None:
    assert ENVELOPE_BYTES == 512 * 1024
    assert MAX_MESSAGE_BYTES == 4 * 1024 * 1024
    assert all(topic.max_bytes == MAX_MESSAGE_BYTES for topic in all_topics("app") if topic != DEAD_LETTERS)
    # A dead letter is the original with headers.
    assert DEAD_LETTERS.max_bytes >= MAX_MESSAGE_BYTES + 128 * 1024


def test_every_topic_says_why_and_names_a_message_there_is() -> None:
    for topic in TOPICS:
        assert topic.reason.endswith(".")
        for name in topic.message.split(", ") if topic is not DEAD_LETTERS else ():
            assert inspect.isclass(model(name))
