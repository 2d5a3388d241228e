"""What counts as dead: a loop that does not come round, and that waits for nobody."""

import pytest
import stamina

from soulcaster.errors import EmbedderRefuses, KafkaUnavailable, RedisRefuses, RedisUnavailable, Unavailable
from soulcaster.services.retrying import until_available
from soulcaster.telemetry.declare import REGISTRY
from soulcaster.telemetry.liveness import Loops
from soulcaster.telemetry.waits import WAITS, Waits


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_does_not_come_round_is_dead_and_lives_again_when_it_does() -> None:
    clock = Clock()
    loops = Loops(Waits(), clock)
    assert loops.liveness().live
    loops.begin_pass("slow", within=60)
    loops.begin_pass("quick", within=10)
    clock.now += 11
    dead = loops.liveness()
    assert not dead.live
    assert dead.why == "no pass of quick in time"
    assert dead.facts["seconds_since_pass"] == {"slow": 11.0, "quick": 11.0}
    loops.begin_pass("quick", within=10)
    assert loops.liveness().live


def test_who_waits_for_a_system_is_not_dead() -> None:
    clock = Clock()
    waits = Waits()
    loops = Loops(waits, clock)
    loops.begin_pass("loop", within=10)
    clock.now += 11
    with waits.one() as wait:
        with pytest.raises(RedisUnavailable), wait.failed():
            raise RedisUnavailable
        assert loops.liveness().live
        assert loops.liveness().facts["waiting_for"] == ["redis"]
    assert not loops.liveness().live


def test_every_system_has_its_name_in_metrics() -> None:
    kinds = Unavailable.__subclasses__()
    assert len(kinds) > 8
    assert [kind for kind in kinds if "system" not in vars(kind)] == []
    assert RedisRefuses.system == "redis"


async def test_retrying_waits_for_the_system_that_failed_last_until_it_is_over() -> None:
    seen = []
    failures = iter([KafkaUnavailable(), EmbedderRefuses()])

    def waiting(system: str) -> float | None:
        return REGISTRY.get_sample_value("soulcaster_waiting", {"system": system})

    async def work() -> str:
        seen.append(list(WAITS.systems()))
        for error in failures:
            raise error
        return "done"

    with stamina.set_testing(True, attempts=5):
        assert await until_available(work) == "done"
    assert seen == [[], ["kafka"], ["embedder"]]
    assert WAITS.systems() == []
    assert (waiting("kafka"), waiting("embedder")) == (0, 0)


async def test_an_operation_that_ends_with_an_error_waits_no_more() -> None:
    failures = iter([KafkaUnavailable(), LookupError()])

    async def work() -> None:
        raise next(failures)

    with stamina.set_testing(True, attempts=5), pytest.raises(LookupError):
        await until_available(work)
    assert WAITS.systems() == []
