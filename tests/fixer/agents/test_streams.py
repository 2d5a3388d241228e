"""What the coding agents print, captured in our sandbox from the versions that `CLIS` names, with a scripted model."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soulcaster.domain.fixes.order import CodingAgent
from soulcaster.fixer.agents.catalog import CLIS
from soulcaster.fixer.agents.events import read_event
from soulcaster.fixer.agents.progress import Progress, judge
from soulcaster.ports.coding_agent import AgentEnd
from soulcaster.ports.sandbox import Ended

STREAMS = Path(__file__).parent / "fixtures"
SUMMARY = "add() subtracted its second number. It adds now, and test_new.py shows it."
WITH_EVENTS = ("claude", "codex", "gemini", "kilo", "opencode")


def heard(agent: CodingAgent, lines: list[str]) -> tuple[Progress, list[str]]:
    progress = Progress()
    return progress, [words for line in lines for words in CLIS[agent].hear(line, progress)]


def stream(agent: CodingAgent, name: str) -> list[str]:
    suffix = "txt" if CLIS[agent].exit_code else "jsonl"
    return (STREAMS / agent / f"{name}.{suffix}").read_text().splitlines()


@pytest.mark.parametrize("agent", WITH_EVENTS)
def test_a_stream_that_ends_well_is_done_with_its_last_words(agent: CodingAgent) -> None:
    progress, lines = heard(agent, stream(agent, "done"))
    assert judge(progress, Ended(1, "exit code 1", "", 1))[0] == "done", "the exit code is not believed"
    assert progress.summary == SUMMARY
    assert (progress.tokens_in, progress.tokens_out, progress.calls, progress.succeeded) == (5_000, 500, 4, 4)
    assert any("cat calc.py" in line for line in lines)
    assert lines[-1] == SUMMARY
    assert all(len(line) <= 400 and "\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("agent", "name", "end", "word"),
    [
        *[(agent, "budget", "cut off", "budget") for agent in (*WITH_EVENTS, "aider")],
        ("claude", "refused", "refused", "would not"),
        ("codex", "refused", "failed", "without a word"),
        ("opencode", "refused", "failed", "without a word"),
        ("claude", "denied", "failed", "not permitted"),
        ("kilo", "denied", "failed", "rejected permission"),
        ("opencode", "denied", "failed", "not permitted"),
        ("claude", "nothing-works", "failed", "No tool"),
        ("codex", "nothing-works", "failed", "No tool"),
        ("gemini", "nothing-works", "failed", "No tool"),
        ("opencode", "nothing-works", "failed", "No tool"),
        ("aider", "key", "failed", "no such key"),
    ],
)
def test_a_stream_that_ends_badly_is_not_done_though_the_program_exits_with_0(
    agent: CodingAgent, name: str, end: AgentEnd, word: str
) -> None:
    progress, _ = heard(agent, stream(agent, name))
    found, why = judge(progress, Ended(0, "exit code 0", "", 1))
    assert (found, word in why) == (end, True), why


@pytest.mark.parametrize("agent", WITH_EVENTS)
def test_an_error_of_the_vendor_that_wants_money_is_no_spent_budget(agent: CodingAgent) -> None:
    lines = [line.replace("The budget of this job is spent", "Your credit is low") for line in stream(agent, "budget")]
    end, why = judge(heard(agent, lines)[0], Ended(1, "exit code 1", "", 1))
    assert (end, "Your credit is low" in why) == ("failed", True)


def test_words_that_are_no_events_are_read_where_there_are_none() -> None:
    progress, lines = heard("aider", stream("aider", "done"))
    assert (progress.tokens_in, progress.tokens_out, progress.calls) == (1_000, 100, 1)
    assert "I mend it." in progress.summary
    assert "SEARCH" not in progress.summary
    assert "Applied edit to calc.py" in lines


@pytest.mark.parametrize("agent", WITH_EVENTS)
@given(data=st.data())
def test_a_stream_that_ends_early_is_never_done(agent: CodingAgent, data: st.DataObject) -> None:
    lines = stream(agent, "done")
    kept = lines[: data.draw(st.integers(0, len(lines) - 1))]
    progress, _ = heard(agent, kept)
    assert judge(progress, Ended(None, "killed", "", 1))[0] == "failed"
    assert judge(progress, Ended(None, "silent", "", 1, limit="idle"))[0] == "idle"
    assert judge(progress, Ended(None, "slow", "", 1, limit="time"))[0] == "cut off"


@pytest.mark.parametrize("agent", [agent for agent in WITH_EVENTS if agent != "gemini"])
def test_an_agent_that_goes_on_after_its_last_word_is_not_done(agent: CodingAgent) -> None:
    lines = stream(agent, "done")
    progress, _ = heard(agent, [*lines, *lines[:2], *lines[2:4]])
    assert not progress.done


@pytest.mark.parametrize("agent", WITH_EVENTS)
@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_line_breaks_a_reader(agent: CodingAgent, value: object) -> None:
    for kind in ("assistant", "user", "result", "message", "tool_use", "tool_result", "text", "step_finish", "error"):
        event = {"type": kind, "part": value, "message": value, "error": value, "stats": value, "result": value}
        heard(agent, [json.dumps(event), json.dumps(value), str(value)])
    for kind in ("item.completed", "turn.failed", "turn.completed"):
        heard(agent, [json.dumps({"type": kind, "item": value, "error": value, "usage": value})])


VALUES = st.recursive(
    st.integers() | st.text(), lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(), x, max_size=3)
)


@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_an_event_that_was_cut_is_read_as_far_as_it_goes(event: dict[str, object], data: st.DataObject) -> None:
    line = json.dumps({"type": "text", **event})
    cut = line[: data.draw(st.integers(len('{"type": "text"'), len(line)))]
    found = read_event(cut)
    assert found is not None
    assert next(iter(found)) == "type"


def test_the_text_of_a_cut_event_is_there_up_to_the_cut() -> None:
    line = json.dumps({"type": "text", "part": {"id": 1, "text": 'he said "' + "long " * 50}})
    for length in range(len(line) - 100, len(line)):
        progress, _ = heard("opencode", [line[:length]])
        assert progress.words.startswith('he said "long long')


@pytest.mark.parametrize(
    "line", ["", "{", "{]", "[1]", "{" * 50_000, '{"a":' * 50_000, "words", "null", '{"a": NaN', "{,"]
)
def test_what_is_no_event_is_none(line: str) -> None:
    read_event(line)
    assert read_event("words") is None
