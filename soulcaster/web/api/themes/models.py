"""The queries and responses of themes."""

from pydantic import BaseModel

from soulcaster.domain.events import Theme
from soulcaster.web.api.clusters.models import ClusterOut
from soulcaster.web.listing import Place


class ThemeOut(BaseModel):
    """One theme: a broad group of clusters.

    `terms` distinguish its texts from others, `why` says what makes it one theme. `count` is the number of its items,
    `cluster_count` that of its clusters, after the last round or command.
    """

    id: str
    title: str
    terms: list[str]
    why: str
    count: int
    cluster_count: int
    project_id: str

    @classmethod
    def of(cls, project_id: str, theme: Theme) -> "ThemeOut":
        """Return a theme as the read model has it."""
        return cls(
            id=theme.id,
            title=theme.title,
            terms=list(theme.terms),
            why=theme.why,
            count=theme.items,
            cluster_count=theme.clusters,
            project_id=project_id,
        )


class ThemeDetailOut(ThemeOut):
    """GET /themes/{id}: a theme and one page of its clusters, the largest first; `total` is their number now."""

    clusters: list[ClusterOut]
    total: int
    limit: int
    offset: int
    next_cursor: str | None


def place(theme: Theme) -> Place:
    """Return the place of a theme in a list that is sorted by items."""
    return f"{theme.items:020d}", theme.id
