"""Which embedders there are, by the settings and by the projects that have items of them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from soulcaster.adapters.embedders.measured import MeasuredEmbedder
from soulcaster.domain.embedder import EmbedderKey
from soulcaster.errors import BadInput, EmbedderRefuses
from soulcaster.ports.embedder import Embedder
from soulcaster.processes.addresses import http_address
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import WorkerSettings
from soulcaster.telemetry.metrics import EMBEDDER_CALLS

log = structlog.get_logger(__name__)


class OwnedEmbedder(Embedder, Protocol):
    """An embedder that its maker closes."""

    async def check(self) -> None:
        """Embed one word, where that can fail.

        Raises:
            EmbedderUnavailable: it does not answer.
            EmbedderRefuses: a person has to act first.
        """

    async def close(self) -> None:
        """End what it runs."""


# ---- the one that the settings name ----------------------------------------------------------------------------------


def make_embedder(settings: WorkerSettings) -> OwnedEmbedder:
    """Return the embedder that SOULCASTER_EMBEDDER names; the caller closes it.

    Raises:
        BadInput: there is no such embedder, or it lacks something.
    """
    make = _MAKERS.get(settings.embedder)
    return make(settings) if make else _from_folder(Path(settings.embedder).expanduser().resolve())


# Each is imported only where it is used: Google's client alone takes a second and 60 MB.


def _static(_settings: WorkerSettings) -> OwnedEmbedder:
    from soulcaster.adapters.embedders.static import StaticEmbedder

    return StaticEmbedder()


def _small(settings: WorkerSettings) -> OwnedEmbedder:
    from soulcaster.adapters.embedders.small import small_embedder

    return small_embedder(threads=settings.embedder_threads)


def _multilingual(_settings: WorkerSettings) -> OwnedEmbedder:
    from soulcaster.adapters.embedders.multilingual import multilingual_embedder

    return multilingual_embedder()


def _gemini(settings: WorkerSettings) -> OwnedEmbedder:
    from soulcaster.adapters.embedders.gemini import GeminiEmbedder
    from soulcaster.adapters.redis.vector_cache import RedisVectorCache

    if not settings.gemini_key.strip():
        raise BadInput("The embedder gemini has no key: set GEMINI_API_KEY.")
    if settings.gemini_url:
        http_address("SOULCASTER_GEMINI_URL", settings.gemini_url)
    days = settings.embedding_cache_days
    return GeminiEmbedder(
        settings.gemini_key,
        dimensions=settings.gemini_dimensions,
        per_minute=settings.gemini_requests_per_minute,
        url=settings.gemini_url,
        cache=RedisVectorCache(redis_access(settings), days=days) if days else None,
    )


_MAKERS: Mapping[str, Callable[[WorkerSettings], OwnedEmbedder]] = {
    "static": _static,
    "small": _small,
    "multilingual": _multilingual,
    "gemini": _gemini,
}


def _from_folder(folder: Path) -> OwnedEmbedder:
    from soulcaster.adapters.embedders.static import MODEL_FILES, StaticEmbedder

    if not folder.is_dir():
        raise BadInput(
            f"SOULCASTER_EMBEDDER is none of {', '.join(_MAKERS)}, and there is no folder {folder} with a model2vec "
            "model."
        )
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise BadInput(
            f"The folder {folder} of SOULCASTER_EMBEDDER is no model2vec model: no {' and no '.join(missing)}."
        )
    try:
        return StaticEmbedder(folder)
    except Exception as error:  # model2vec and its libraries have no common base of errors
        raise BadInput(f"The model2vec model in {folder} (SOULCASTER_EMBEDDER) cannot be read: {error}.") from error


# ---- those that projects have ----------------------------------------------------------------------------------------

GEMINI = "gemini-embedding-001"

SETTING_OF = {
    "minilm-static-256": "static",
    "bge-small-en-v1.5": "small",
    "use-multilingual-v3": "multilingual",
    GEMINI: "gemini",
}
"""What SOULCASTER_EMBEDDER calls a model."""


class ProjectEmbedders:
    """The embedder that the settings name, for new projects, and those that other projects began with."""

    def __init__(self, settings: WorkerSettings, default: Embedder | None = None) -> None:
        """Make the embedder that the settings name, unless `default` is given.

        Raises:
            BadInput: there is no such embedder, or it lacks something.
        """
        self._settings = settings
        self._owned: list[OwnedEmbedder] = []
        self._made: dict[EmbedderKey, Embedder] = {}
        self._refused: dict[EmbedderKey, str] = {}
        if default is None:
            default = made = make_embedder(settings)
            self._owned.append(made)
        self.default = self._add(default)

    async def choose(self, used: Sequence[EmbedderKey]) -> Embedder:
        """Return the embedder of a project that has items of these; see `ports.embedder.Embedders`.

        Of several, which a project has whose embedder was changed by an older version, it is the one that the settings
        name, or else the newest.
        """
        if not used or _key(self.default) in used:
            return self.default
        wanted = used[-1]
        if wanted not in self._made and wanted not in self._refused:
            await self._make(wanted)
        if wanted in self._refused:
            EMBEDDER_CALLS.labels(wanted.name, "refuses").inc()
            raise EmbedderRefuses(self._refused[wanted])
        return self._made[wanted]

    async def _make(self, wanted: EmbedderKey) -> None:
        """Make the embedder of a project, or note why it is not to be had."""
        try:
            made = await asyncio.to_thread(self._of_name, wanted)
        except BadInput as error:
            self._refused[wanted] = (
                f"a project has clusters of the embedder {wanted.label}, which is not to be had here: {error} Its "
                "items wait, and with them those that came after. Set SOULCASTER_EMBEDDER to that embedder, or give it "
                "what it lacks, and start the worker again"
            )
            log.error(self._refused[wanted])
        else:
            log.info("projects that began with another embedder keep it", embedder=wanted.label)
            self._add(made)

    def _of_name(self, wanted: EmbedderKey) -> OwnedEmbedder:
        """Return the embedder of a project.

        Raises:
            BadInput: there is none of its name, or only of another version, or it lacks something.
        """
        if wanted.name not in SETTING_OF:
            raise BadInput("no model of that name comes with Soulcaster.")
        update: dict[str, str | int] = {"embedder": SETTING_OF[wanted.name]}
        if wanted.name == GEMINI:
            update["gemini_dimensions"] = wanted.dimensions
        made = make_embedder(self._settings.model_copy(update=update))
        self._owned.append(made)
        if _key(made) != wanted:
            raise BadInput(f"this version of Soulcaster has {_key(made).label}.")
        return made

    def _add(self, embedder: Embedder) -> Embedder:
        return self._made.setdefault(_key(embedder), MeasuredEmbedder(embedder))

    async def close(self) -> None:
        """Close all that were made."""
        for embedder in self._owned:
            await embedder.close()


def _key(embedder: Embedder) -> EmbedderKey:
    return EmbedderKey(embedder.name, embedder.version, embedder.dimensions)
