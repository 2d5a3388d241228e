"""How long the work on an item may take."""

import pytest

from soulcaster.services.item_watch import ITEM_SECONDS, TooSlow
from tests.support.item_watch import watch_of


def test_an_item_that_only_waits_does_not_take_too_long() -> None:
    watch = watch_of(1, 1 + 10 * ITEM_SECONDS, cpu=0.05)
    watch.begin()
    watch.check()


def test_what_the_items_before_took_does_not_count() -> None:
    watch = watch_of(1, 1.9, 1.9, 1.95 + ITEM_SECONDS, 8, 8.1 + ITEM_SECONDS, cpu=0.99)
    watch.begin()
    watch.check()
    watch.begin()
    watch.check()  # too long on the wall; but what the thread had before it began is not its own
    watch.begin()
    with pytest.raises(TooSlow, match="5 s"):
        watch.check()
