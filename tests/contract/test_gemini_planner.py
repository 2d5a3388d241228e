"""Plans by Gemini, over a server that speaks its REST."""

import json
import traceback
from collections.abc import AsyncIterator, Iterator

import pytest
import stamina
from aiohttp import web

from soulcaster.adapters.gemini import planner as gemini_planner
from soulcaster.adapters.gemini.planner import ATTEMPTS, INSTRUCTION, GeminiPlanner
from soulcaster.domain.fixes.plan import MAX_DESCRIPTION_CHARS, PlannedFix
from soulcaster.errors import PlannerRefuses, PlannerUnavailable
from tests.support.gemini import KEY, Gemini, error, written

BRIEF = "# Brief\n\n[begin problem 0123456789ab]\nThe card is late\n[end problem 0123456789ab]\n"
MODEL = "gemini-3.8-flash"


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Retries as they are, without the time between them."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
async def planner(gemini: Gemini) -> AsyncIterator[GeminiPlanner]:
    planner = GeminiPlanner(f" {KEY}\n", model=MODEL, url=gemini.url)
    yield planner
    await planner.close()


async def test_the_brief_is_the_message_and_the_answer_has_a_schema(planner: GeminiPlanner, gemini: Gemini) -> None:
    assert await planner.plan(BRIEF) == PlannedFix("Pay late", "Find where it waits.")
    [question] = gemini.questions
    assert (question.path, question.headers["x-goog-api-key"]) == (f"/v1beta/models/{MODEL}:generateContent", KEY)
    assert question.text == BRIEF
    assert question.body["systemInstruction"]["parts"] == [{"text": INSTRUCTION}]
    config = question.body["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseSchema"]["required"] == ["title", "description"]
    assert config["thinkingConfig"] == {"thinking_level": "LOW"}
    assert config["maxOutputTokens"] == gemini_planner.MAX_OUTPUT_TOKENS
    assert not {"temperature", "topP", "topK", "candidateCount"} & set(config)


async def test_what_the_model_thinks_is_no_part_of_the_plan(planner: GeminiPlanner, gemini: Gemini) -> None:
    gemini.answers = [written(json.dumps(gemini.plan), thought='{"title": "no", "description": "no"}')]
    assert (await planner.plan(BRIEF)).title == "Pay late"


async def test_an_endless_description_is_cut(planner: GeminiPlanner, gemini: Gemini) -> None:
    gemini.plan = {"title": "t", "description": "x" * 10 * MAX_DESCRIPTION_CHARS}
    assert len((await planner.plan(BRIEF)).description) == 2 * MAX_DESCRIPTION_CHARS


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (written(None, "SAFETY"), "stopped before the end (SAFETY)"),
        (written('{"title": "Half', "MAX_TOKENS"), "stopped before the end (MAX_TOKENS)"),
        (written(None, "A_REASON_OF_TOMORROW"), "stopped before the end (A_REASON_OF_TOMORROW)"),
        (web.json_response({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}), "blocks the brief (PROHIBITED_"),
        (web.json_response({}), "its answer is empty"),
        (web.json_response({"candidates": []}), "its answer is empty"),
        (written(None), "does not have a title"),
        (written("Here is the plan: first"), "does not have a title"),
        (written('{"title": "Only a title"}'), "does not have a title"),
        (written('{"title": 1, "description": []}'), "does not have a title"),
        (written('["title", "description"]'), "does not have a title"),
    ],
)
async def test_no_plan_is_a_refusal_that_is_not_asked_again(
    planner: GeminiPlanner, gemini: Gemini, answer: web.Response, says: str
) -> None:
    gemini.answers = [answer]
    with pytest.raises(PlannerRefuses) as raised:
        await planner.plan(BRIEF)
    assert says in str(raised.value)
    assert len(gemini.questions) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (error(403, "PERMISSION_DENIED", f"Consumer 'api_key:{KEY}' has been suspended."), "set GEMINI_API_KEY"),
        (error(404, "NOT_FOUND", "models/gemini-9 is not found"), "see SOULCASTER_PLAN_MODEL"),
        (error(400, "INVALID_ARGUMENT", "Thinking level is not supported."), "see SOULCASTER_PLAN_MODEL"),
        (error(400, "FAILED_PRECONDITION", "User location is not supported."), "refuses requests"),
    ],
)
async def test_what_a_person_must_repair_is_a_refusal_without_the_key(
    planner: GeminiPlanner, gemini: Gemini, answer: web.Response, says: str
) -> None:
    gemini.answers = [answer]
    with pytest.raises(PlannerRefuses, match=says) as raised:
        await planner.plan(BRIEF)
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert len(gemini.questions) == 1


async def test_a_wrong_key(gemini: Gemini) -> None:
    planner = GeminiPlanner("AIza-another-key", model=MODEL, url=gemini.url)
    with pytest.raises(PlannerRefuses, match="set GEMINI_API_KEY"):
        await planner.plan(BRIEF)
    await planner.close()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: error(503, "UNAVAILABLE", "The model is overloaded."),
        lambda: error(429, "RESOURCE_EXHAUSTED", "Quota exceeded."),
        lambda: error(500, "INTERNAL", f"It broke for {KEY}."),
        lambda: web.Response(text="<html>", content_type="application/json"),
    ],
)
async def test_an_outage_is_tried_again_once(planner: GeminiPlanner, gemini: Gemini, answer: type) -> None:
    gemini.answers = [answer()]
    assert (await planner.plan(BRIEF)).title == "Pay late"
    gemini.questions.clear()
    gemini.answers = [answer() for _ in range(ATTEMPTS)]
    with pytest.raises(PlannerUnavailable) as raised:
        await planner.plan(BRIEF)
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert len(gemini.questions) == ATTEMPTS


async def test_it_ends_in_time_when_gemini_does_not_answer(
    planner: GeminiPlanner, gemini: Gemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemini_planner, "MAX_SECONDS", 0.2)
    gemini.open.clear()
    with pytest.raises(PlannerUnavailable, match="wrote no plan within"):
        await planner.plan(BRIEF)
    gemini.open.set()


async def test_nobody_listens() -> None:
    planner = GeminiPlanner(KEY, model=MODEL, url="http://127.0.0.1:9")
    with pytest.raises(PlannerUnavailable, match="does not answer"):
        await planner.plan(BRIEF)
    await planner.close()
