"""Which embedder the settings name."""

from pathlib import Path
from typing import TYPE_CHECKING

from soulcaster.adapters.embedders.static import StaticEmbedder
from soulcaster.errors import BadInput
from soulcaster.processes.addresses import http_address
from soulcaster.processes.redis_access import redis_access
from soulcaster.processes.settings import WorkerSettings

if TYPE_CHECKING:
    from soulcaster.adapters.embedders.gemini import GeminiEmbedder

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def make_embedder(settings: WorkerSettings) -> "StaticEmbedder | GeminiEmbedder":
    """Return the embedder that SOULCASTER_EMBEDDER names; the caller closes it.

    Raises:
        BadInput: there is no such embedder, or it lacks something.
    """
    if settings.embedder == "static":
        return StaticEmbedder()
    if settings.embedder == "gemini":
        return _gemini(settings)
    return _from_folder(Path(settings.embedder).expanduser().resolve())


def _gemini(settings: WorkerSettings) -> "GeminiEmbedder":
    # Imported here, because Google's client takes a second and 60 MB.
    from soulcaster.adapters.embedders.gemini import GeminiEmbedder
    from soulcaster.adapters.redis.vector_cache import RedisVectorCache

    if not settings.gemini_key.strip():
        raise BadInput("SOULCASTER_EMBEDDER is gemini, but there is no key: set GEMINI_API_KEY.")
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


def _from_folder(folder: Path) -> StaticEmbedder:
    if not folder.is_dir():
        raise BadInput(
            f"SOULCASTER_EMBEDDER is neither static nor gemini, and there is no folder {folder} with a model2vec model."
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
