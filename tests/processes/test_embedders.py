"""Which embedder the settings name, and the error when there is no such embedder."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel
from tokenizers import Tokenizer, models, pre_tokenizers

from soulcaster.adapters.embedders.gemini import GeminiEmbedder
from soulcaster.adapters.embedders.static import DEFAULT_FOLDER, StaticEmbedder
from soulcaster.cli.checks import examine
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.errors import BadInput, EmbedderRefuses
from soulcaster.ports.embedder import Embedder
from soulcaster.processes.embedder import SETTING_OF, ProjectEmbedders, make_embedder
from soulcaster.processes.settings import Settings
from soulcaster.processes.worker import create_app
from tests.support.gemini import KEY, Gemini, error

TEXTS = ["My card has not arrived", "the card", "login", "words nobody knows", ""]
REDIS = "redis://127.0.0.1:1/0"


def of(embedder: str | Path, **settings: Any) -> Settings:
    return Settings(embedder=str(embedder), redis_url=REDIS, **settings)


def tiny_model(folder: Path) -> Path:
    """Save a model of eight words, split at white space and punctuation, without BERT's tokens."""
    words = ["[UNK]", "my", "card", "has", "not", "arrived", "the", "login"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token=words[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    rows = np.random.default_rng(1).normal(size=(len(words), 12)).astype(np.float32)
    StaticModel(rows, tokenizer, config={}).save_pretrained(folder)
    return folder


def test_the_small_model_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOULCASTER_EMBEDDER")
    assert make_embedder(Settings(redis_url=REDIS)).name == "bge-small-en-v1.5"


async def test_static() -> None:
    made, static = make_embedder(of("static")), StaticEmbedder()
    assert (made.name, made.version) == (static.name, static.version)
    assert np.array_equal(await made.embed(TEXTS), await static.embed(TEXTS))


async def test_any_folder_of_a_model(tmp_path: Path) -> None:
    folder = shutil.copytree(DEFAULT_FOLDER, tmp_path / "my-model")
    made, static = make_embedder(of(folder)), StaticEmbedder()
    assert (made.name, made.version, made.dimensions) == ("my-model", static.version, static.dimensions)
    assert np.array_equal(await made.embed(TEXTS), await static.embed(TEXTS))


async def test_a_folder_relative_to_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_model(tmp_path / "tiny"))
    assert make_embedder(of(".")).name == "tiny"


async def test_a_model_with_another_tokenizer(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    made = make_embedder(of(folder))
    assert (made.name, made.dimensions) == ("tiny", 12)
    vectors = await made.embed(["my card, not the card!", *TEXTS])
    library = StaticModel.from_pretrained(folder).encode(["my card, not the card!", *TEXTS], normalize=True)
    assert vectors == pytest.approx(library, abs=1e-5)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 0, 0], abs=1e-5)


async def test_gemini(gemini: Gemini) -> None:
    made = make_embedder(of("gemini", gemini_key=KEY, gemini_url=gemini.url, gemini_dimensions=1536))
    assert isinstance(made, GeminiEmbedder)
    assert (made.name, made.version, made.dimensions) == ("gemini-embedding-001", "1536-clustering", 1536)
    assert (await made.embed(TEXTS)).any(axis=1).tolist() == [True, True, True, True, False]
    await made.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"embedder": "gemini"}, "set GEMINI_API_KEY"),
        ({"embedder": "gemini", "gemini_key": " "}, "set GEMINI_API_KEY"),
        ({"embedder": "gemini", "gemini_key": KEY, "gemini_url": "gemini.example"}, "SOULCASTER_GEMINI_URL"),
        ({"embedder": "gemini", "gemini_key": KEY, "gemini_url": "http://["}, "SOULCASTER_GEMINI_URL"),
        ({"embedder": "Gemini"}, "none of static, small, multilingual, gemini"),
        ({"embedder": "minishlab/potion-base-8M"}, "there is no folder"),
        ({"embedder": ""}, "no model2vec model"),
    ],
)
async def test_what_is_missing_is_said_at_the_start(settings: dict[str, Any], says: str) -> None:
    for make in (make_embedder, create_app):
        with pytest.raises(BadInput, match=says) as raised:
            make(Settings(**{"gemini_key": "", "redis_url": REDIS, **settings}))
        assert KEY not in str(raised.value)


async def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no config\.json and no model\.safetensors and no tokenizer\.json"):
        make_embedder(of(tmp_path))
    folder = tiny_model(tmp_path / "tiny")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BadInput, match=r"model2vec model: no tokenizer\.json\."):
        make_embedder(of(folder))
    with pytest.raises(BadInput, match="there is no folder"):
        make_embedder(of(folder / "config.json"))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
async def test_a_model_that_is_broken(tmp_path: Path, name: str) -> None:
    folder = tiny_model(tmp_path / "tiny")
    (folder / name).write_bytes(b"{")
    with pytest.raises(BadInput, match="cannot be read"):
        make_embedder(of(folder))


# ---- a project keeps its embedder ----------------------------------------------------------------------------------


def key_of(embedder: Embedder) -> EmbedderKey:
    return EmbedderKey(embedder.name, embedder.version, embedder.dimensions)


def test_the_names_of_the_models() -> None:
    for setting in ("static", "small", "multilingual"):
        assert SETTING_OF[make_embedder(of(setting)).name] == setting
    assert SETTING_OF[make_embedder(of("gemini", gemini_key=KEY)).name] == "gemini"
    assert len(SETTING_OF) == 4


async def test_a_new_project_has_the_embedder_of_the_settings() -> None:
    embedders = ProjectEmbedders(of("small"))
    assert (await embedders.choose([])).name == "bge-small-en-v1.5"
    await embedders.close()


async def test_a_project_keeps_the_embedder_that_it_began_with(gemini: Gemini) -> None:
    static, small = StaticEmbedder(), make_embedder(of("small"))
    embedders = ProjectEmbedders(of("small", gemini_key=KEY, gemini_url=gemini.url))
    kept = await embedders.choose([key_of(static)])
    assert np.array_equal(await kept.embed(TEXTS), await static.embed(TEXTS))
    assert await embedders.choose([key_of(static)]) is kept
    other = await embedders.choose([EmbedderKey("gemini-embedding-001", "1536-clustering", 1536)])
    assert (await other.embed(TEXTS)).shape == (len(TEXTS), 1536)
    # Older versions let a project have several.
    assert await embedders.choose([key_of(small), key_of(static)]) is await embedders.choose([])
    assert await embedders.choose([EmbedderKey("gone", "1", 8), key_of(static)]) is kept
    await embedders.close()
    await static.close()


@pytest.mark.parametrize(
    ("used", "says"),
    [
        (EmbedderKey("my-model", "1", 12), "no model of that name comes with Soulcaster"),
        (
            EmbedderKey("minilm-static-256", "0123", 256),
            "this version of Soulcaster has minilm-static-256@2f",
        ),
        (EmbedderKey("gemini-embedding-001", "768-clustering", 768), "set GEMINI_API_KEY"),
    ],
)
async def test_an_embedder_that_is_not_to_be_had_is_refused(used: EmbedderKey, says: str) -> None:
    embedders = ProjectEmbedders(of("small", gemini_key=""))
    for _ in range(2):
        with pytest.raises(EmbedderRefuses, match=says) as raised:
            await embedders.choose([used])
        assert used.label in str(raised.value)
        assert "SOULCASTER_EMBEDDER" in str(raised.value)
    assert (await embedders.choose([])).name == "bge-small-en-v1.5"
    await embedders.close()


async def test_the_folder_of_the_settings_is_the_embedder_of_its_projects(tmp_path: Path) -> None:
    embedders = ProjectEmbedders(of(tiny_model(tmp_path / "tiny")))
    tiny = embedders.default
    assert await embedders.choose([key_of(tiny)]) is tiny
    await embedders.close()


# ---- doctor --------------------------------------------------------------------------------------------------------


def settings(gemini: Gemini, **arguments: Any) -> Settings:
    nowhere: dict[str, Any] = {"kafka": "127.0.0.1:1", "redis_url": "redis://127.0.0.1:1/0", "port": 1}
    return Settings(**{**nowhere, "embedder": "gemini", "gemini_key": KEY, "gemini_url": gemini.url, **arguments})


async def problems(of: Settings, folder: Path) -> list[str]:
    report = await examine(of, folder)
    return [p.what for p in report.problems if not p.what.startswith(("kafka ", "redis ", "web "))]


async def test_the_doctor_asks_google(gemini: Gemini, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await problems(settings(gemini), tmp_path) == []
    assert gemini.texts == ["word"]
    [problem] = await problems(settings(gemini, gemini_key="AIza-another"), tmp_path)
    assert "set GEMINI_API_KEY" in problem
    assert "AIza" not in problem
    [problem] = await problems(settings(gemini, gemini_key=""), tmp_path)
    assert "has no key" in problem
    gemini.answers = [error(503, "UNAVAILABLE", "Overloaded.")]
    [problem] = await problems(settings(gemini), tmp_path)
    assert "does not answer now" in problem
    assert capsys.readouterr().out == ""  # the report goes there


@pytest.mark.parametrize(("embedder", "model"), [("static", "minilm-static-256"), ("small", "bge-small-en-v1.5")])
async def test_the_doctor_measures_an_embedder_in_the_package(embedder: str, model: str, tmp_path: Path) -> None:
    nowhere: dict[str, Any] = {"kafka": "127.0.0.1:1", "redis_url": "redis://127.0.0.1:1/0", "port": 1}
    found = (await examine(Settings(**nowhere, embedder=embedder), tmp_path)).embedder
    assert found is not None
    assert (found.setting, found.model) == (embedder, model)
    assert found.texts_per_s is not None
    assert found.texts_per_s > 0


async def test_the_doctor_does_not_measure_what_costs_money(gemini: Gemini, tmp_path: Path) -> None:
    found = (await examine(settings(gemini), tmp_path)).embedder
    assert found is not None
    assert (found.model, found.texts_per_s) == ("gemini-embedding-001", None)
