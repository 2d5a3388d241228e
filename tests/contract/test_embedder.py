"""What every Embedder must do."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model2vec import StaticModel

from soulcaster.adapters.embedders import static as static_embedder
from soulcaster.adapters.embedders.gemini import GeminiEmbedder
from soulcaster.adapters.embedders.multilingual import multilingual_embedder
from soulcaster.adapters.embedders.process import ProcessEmbedder
from soulcaster.adapters.embedders.small import small_embedder
from soulcaster.adapters.embedders.static import DEFAULT_FOLDER, StaticEmbedder
from soulcaster.domain.text.normalize import clean
from soulcaster.errors import EmbedderUnavailable
from soulcaster.ports.embedder import Embedder
from tests.support.gemini import KEY, Gemini
from tests.support.slow_model import SlowModel

pytestmark = pytest.mark.xdist_group(__name__)

TEXTS = [
    "My card has not arrived",
    "The card I ordered is still not here",
    "The app crashes when I log in",
    "Grüße 🙂 — 日本語のテキスト",
    "word " * 2_000,
    "a\nb\tc\x00d",
    "<script>alert(1)</script>",
]


SHARED = {"small": small_embedder(), "multilingual": multilingual_embedder()}
"""Loading a model takes a second, so all tests share these."""


@pytest.fixture(scope="module", autouse=True)
def end_of_shared() -> Iterator[None]:
    yield
    for embedder in SHARED.values():
        asyncio.run(embedder.close())


@pytest.fixture(params=["static", "small", "multilingual", "gemini"])
async def embedder(request: pytest.FixtureRequest, gemini: Gemini) -> AsyncIterator[Embedder]:
    if request.param in SHARED:
        yield SHARED[request.param]
    else:
        made = StaticEmbedder() if request.param == "static" else GeminiEmbedder(KEY, url=gemini.url)
        yield made
        await made.close()


@pytest.fixture
async def another(embedder: Embedder, gemini: Gemini) -> AsyncIterator[Embedder]:
    """Another instance of the same embedder."""
    made: ProcessEmbedder | StaticEmbedder | GeminiEmbedder
    if embedder is SHARED["small"]:
        made = small_embedder(threads=2)
    elif embedder is SHARED["multilingual"]:
        made = multilingual_embedder()
    else:
        made = StaticEmbedder() if isinstance(embedder, StaticEmbedder) else GeminiEmbedder(KEY, url=gemini.url)
    yield made
    await made.close()


async def test_shape_and_length(embedder: Embedder) -> None:
    vectors = await embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-4)


async def test_the_same_text_is_the_same_vector_in_any_batch(embedder: Embedder) -> None:
    alone = np.concatenate([await embedder.embed([text]) for text in TEXTS])
    assert await embedder.embed(TEXTS) == pytest.approx(alone, abs=1e-5)
    many = await embedder.embed(TEXTS * 40)
    assert many == pytest.approx(np.tile(alone, (40, 1)), abs=1e-5)
    backwards = await embedder.embed(TEXTS[::-1])
    assert backwards == pytest.approx(alone[::-1], abs=1e-5)


async def test_another_instance_gives_the_same(embedder: Embedder, another: Embedder) -> None:
    assert (another.name, another.version, another.dimensions) == (embedder.name, embedder.version, embedder.dimensions)
    assert np.array_equal(await another.embed(TEXTS), await embedder.embed(TEXTS))


async def test_no_texts_are_no_vectors(embedder: Embedder) -> None:
    assert (await embedder.embed([])).shape == (0, embedder.dimensions)


async def test_words_nobody_knows(embedder: Embedder) -> None:
    """Of unit length, or zero where nothing of the text is known; never anything that is not a number."""
    lengths = np.linalg.norm(await embedder.embed(["x" * 5_000, "\ufffd", "\x00", "\ue000" * 3]), axis=1)
    assert all(length == pytest.approx(1, abs=1e-4) or length == 0 for length in lengths)


@pytest.mark.parametrize("beside", [0, 1, 40])
async def test_an_empty_text_is_the_zero_vector(embedder: Embedder, beside: int) -> None:
    vectors = await embedder.embed([*["My card"] * beside, ""])
    assert not vectors[-1].any()
    assert np.isfinite(vectors).all()


async def test_near_means_alike(embedder: Embedder) -> None:
    card, same, login, *_ = await embedder.embed(TEXTS)
    assert card @ same > card @ login + 0.1


async def test_who_it_is(embedder: Embedder) -> None:
    assert embedder.name
    assert embedder.version
    assert embedder.dimensions > 0


def test_the_models_are_the_ones_that_ship() -> None:
    """Another version is another embedder: no item of before would meet one of after."""
    static, small, multilingual = StaticEmbedder(), SHARED["small"], SHARED["multilingual"]
    assert (static.name, static.version, static.dimensions) == ("minilm-static-256", "2f35cd327953", 256)
    assert (small.name, small.version, small.dimensions) == ("bge-small-en-v1.5", "fc5348f34fe8-128", 384)
    assert (multilingual.name, multilingual.dimensions) == ("use-multilingual-v3", 512)
    assert multilingual.version == "f759e1ffdeba-512"


@pytest.fixture(scope="module")
def library() -> StaticModel:
    return StaticModel.from_pretrained(DEFAULT_FOLDER)


@pytest.fixture(scope="module")
def static_table() -> StaticEmbedder:
    return StaticEmbedder()


@given(st.lists(st.text().map(clean) | st.sampled_from(TEXTS), max_size=5))
def test_word_by_word_is_what_the_library_gives(
    library: StaticModel, static_table: StaticEmbedder, texts: list[str]
) -> None:
    expected = library.encode([*texts, "."], max_length=None, normalize=True)[:-1]
    assert static_table.embed_now(texts) == pytest.approx(expected, abs=1e-5)


def test_words_are_forgotten_and_learned_again(static_table: StaticEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_embedder, "_WORDS", 3)
    embedder = StaticEmbedder()
    for _ in range(3):
        assert np.array_equal(embedder.embed_now(TEXTS), static_table.embed_now(TEXTS))


# ---- small and multilingual ------------------------------------------------------------------------------------------


async def test_small_knows_what_means_the_same_in_other_words() -> None:
    one, same, other = await SHARED["small"].embed(
        ["I was charged twice for one order", "Duplicate payment on my purchase", "One order has not arrived"]
    )
    assert one @ same > one @ other


async def test_small_reads_the_beginning_of_a_long_text() -> None:
    long = "The app crashes when I log in. " * 20
    first, second = await SHARED["small"].embed([long + "A dark theme, please.", long + "Where is my refund?"])
    assert np.array_equal(first, second)


async def test_small_says_nothing_of_what_it_cannot_read() -> None:
    assert not (await SHARED["small"].embed(["🙂🙂", "\ue000", "   "])).any()


async def test_multilingual_puts_translations_together() -> None:
    texts = [
        "My card has not arrived",
        "Meine Karte ist nicht angekommen",
        "내 카드가 도착하지 않았어요",
        "The app crashes when I log in",
        "Die App stürzt beim Anmelden ab",
        "로그인할 때 앱이 충돌합니다",
    ]
    vectors = await SHARED["multilingual"].embed(texts)
    cosines = vectors @ vectors.T
    for topic in (slice(0, 3), slice(3, 6)):
        others = np.delete(cosines[topic], np.r_[topic], axis=1)
        assert cosines[topic, topic].min() > others.max()


# ---- the process -----------------------------------------------------------------------------------------------------


async def test_a_process_does_little_for_a_caller_that_has_gone(tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.touch()
    embedder = ProcessEmbedder(
        partial(SlowModel, told), name="slow", version="1", dimensions=2, languages=None, at_once=10
    )
    try:
        work = asyncio.create_task(embedder.embed(["word"] * 1_000))
        while not told.read_text():
            await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert (await embedder.embed(["word"] * 15)).shape == (15, 2)
        assert told.read_text().split()[-2:] == ["10", "5"]
        assert len(told.read_text().split()) < 10
    finally:
        await embedder.close()


async def test_a_process_that_died_is_told_of_and_replaced() -> None:
    embedder = StaticEmbedder()
    others = {child.pid for child in _embedding()}
    try:
        many = await embedder.embed(TEXTS * 3)
        (child,) = (child for child in _embedding() if child.pid not in others)
        child.kill()
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed(TEXTS * 3)
        assert np.array_equal(await embedder.embed(TEXTS * 3), many)
    finally:
        await embedder.close()


def _embedding() -> list[psutil.Process]:
    """Return the processes of this one that embed."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # of a test before, and gone meanwhile
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


_PARENT = """
import asyncio, sys
from soulcaster.adapters.embedders.static import StaticEmbedder

async def main():
    await StaticEmbedder().embed(["word"] * 100)
    print("ready", flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_the_process_ends_with_its_parent_however_that_ends() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", _PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    assert await parent.stdout.readline() == b"ready\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert children
    parent.kill()
    await parent.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 20)
    assert not alive
