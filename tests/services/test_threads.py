from threading import get_ident

from soulcaster.services.threads import THREAD_BYTES, away


async def test_work_on_much_text_leaves_the_event_loop_free() -> None:
    assert await away(THREAD_BYTES, get_ident) == get_ident()
    assert await away(THREAD_BYTES + 1, get_ident) != get_ident()
