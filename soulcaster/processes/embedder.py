"""Which embedder the settings name."""

from pathlib import Path
from typing import TYPE_CHECKING

from yarl import URL

from soulcaster.adapters.embedders.static import StaticEmbedder
from soulcaster.errors import BadInput
from soulcaster.processes.settings import Settings

if TYPE_CHECKING:
    from soulcaster.adapters.embedders.gemini import GeminiEmbedder


def make_embedder(settings: Settings) -> "StaticEmbedder | GeminiEmbedder":
    """Return the embedder that SOULCASTER_EMBEDDER names; whoever has it made closes it.

    Raises:
        BadInput: it names none, or what that one needs is not there.
    """
    if settings.embedder == "static":
        return StaticEmbedder()
    if settings.embedder == "gemini":
        return _gemini(settings)
    return _of_folder(Path(settings.embedder).expanduser().resolve())


def _gemini(settings: Settings) -> "GeminiEmbedder":
    # Google's client takes a second and 60 MB to import.
    from soulcaster.adapters.embedders.gemini import GeminiEmbedder
    from soulcaster.adapters.redis.vector_cache import RedisVectorCache

    if not settings.gemini_key.strip():
        raise BadInput("SOULCASTER_EMBEDDER is gemini, but there is no key: set GEMINI_API_KEY.")
    try:
        url = URL(settings.gemini_url)
    except ValueError:
        url = URL()
    if settings.gemini_url and not (url.scheme in {"http", "https"} and url.host):
        raise BadInput("SOULCASTER_GEMINI_URL is no address: it should be as https://host, or empty for Google's own.")
    days = settings.embedding_cache_days
    return GeminiEmbedder(
        settings.gemini_key,
        dimensions=settings.gemini_dimensions,
        per_minute=settings.gemini_requests_per_minute,
        url=settings.gemini_url,
        cache=RedisVectorCache(settings.redis_url, days=days) if days else None,
    )


def _of_folder(folder: Path) -> StaticEmbedder:
    if not folder.is_dir():
        raise BadInput(
            f"SOULCASTER_EMBEDDER is neither static nor gemini, and there is no folder {folder} with a model2vec model."
        )
    missing = [name for name in ("config.json", "model.safetensors", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise BadInput(
            f"The folder {folder} of SOULCASTER_EMBEDDER is no model2vec model: no {' and no '.join(missing)}."
        )
    try:
        return StaticEmbedder(folder)
    except Exception as error:  # its libraries have no base for theirs
        raise BadInput(f"The model2vec model in {folder} (SOULCASTER_EMBEDDER) cannot be read: {error}.") from error
