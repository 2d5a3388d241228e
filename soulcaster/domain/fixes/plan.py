"""Plans: how a fix may be made, written by a model or a person. A plan never changes; an edited one is another plan.

What a model writes is checked here: it has read strangers' words, and it may invent files. Words that look like a path
and do not occur in the brief are marked, and addresses that do not occur there are removed.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime

from soulcaster.domain.fixes.document import Document
from soulcaster.domain.fixes.strangers import plain
from soulcaster.domain.ids import plan_id_for
from soulcaster.domain.text.normalize import one_line
from soulcaster.errors import BadInput

MAX_TITLE_CHARS = 200
MAX_DESCRIPTION_CHARS = 20_000

NOT_IN_BRIEF = " [not in the brief]"
"""What follows a path that a model may have invented."""

LINK_REMOVED = "[link removed]"
MARK_REMOVED = "[mark removed]"
_CUT = "\n[cut here]"

_MAX_RUN_CHARS = 400

_URL = re.compile(r"(?<![a-z0-9+.-])(?:[a-z][a-z0-9+.-]{0,20}://|www\.)[^\s<>\"'`()\[\]{}]++", re.IGNORECASE)
_MARK = re.compile(r"\[(?:begin|end) [^\]\n]{1,40} [0-9a-f]{12}\]")
"""The marks of a brief (`strangers.Fence`): a plan must not contain one, because it is read beside the brief."""

_RUN = re.compile(r"[\w.@+~$%#/\\-]++")
"""What a path is made of."""

_SEPARATOR = re.compile(r"[/\\]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXTENSIONS = _words(
    "bat c cc cfg cjs clj cljs cmd conf cpp cs csproj css cts cxx dart ejs env erb ex exs fs go gradle graphql groovy "
    "h hbs hpp hs htm html ini ipynb java jinja js json jsx kt kts less lock lua m md mjs mm mts php pl plist po "
    "properties proto ps1 py pyi pyx r rb rs rst sass scala scss sh sln sql svelte svg swift tf toml ts tsx txt vb vue "
    "xml yaml yml zig"
)
_PRODUCTS = _words(
    "alpine.js backbone.js chart.js d3.js ember.js express.js next.js node.js nuxt.js react.js three.js vue.js"
)
"""Names that look like a file and are none."""

_FOLDERS = _words("app apps bin cmd components config docs internal lib libs packages pkg scripts src test tests")


class InvalidPlan(BadInput):
    """A plan needs a title of at most 200 characters and a description of at most 20,000."""


@dataclass(frozen=True, slots=True)
class PlannedFix:
    """What a plan says."""

    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan of a cluster. Its id derives from cluster, title, description and author, so the same plan twice is one.

    `by` is the person or the model that wrote it, `item_ids` are the items of the brief that a model read.
    """

    id: str
    project_id: str
    cluster_id: str
    title: str
    description: str
    by: str
    created_at: datetime
    item_ids: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Document) -> "Plan":
        """Return the plan that a document holds."""
        held = json.loads(document.text)
        return cls(
            document.id,
            document.project_id,
            document.cluster_id,
            held["title"],
            held["description"],
            held["by"],
            document.at,
            document.item_ids,
        )

    def document(self) -> Document:
        """Return the document that holds this plan."""
        text = _text(self.title, self.description, self.by)
        return Document(self.id, self.project_id, self.cluster_id, "plan", text, self.created_at, self.item_ids)


def new_plan(
    project_id: str,
    cluster_id: str,
    planned: PlannedFix,
    *,
    by: str,
    at: datetime,
    item_ids: tuple[str, ...] = (),
) -> Plan:
    """Return a plan of a cluster, from what `by_person` or `by_model` returned."""
    text = _text(planned.title, planned.description, by)
    plan_id = plan_id_for(project_id, cluster_id, text)
    return Plan(plan_id, project_id, cluster_id, planned.title, planned.description, by, at, item_ids)


def by_person(title: str, description: str) -> PlannedFix:
    """Return what a person wrote, without invisible characters and HTML comments; the title on one line.

    Raises:
        InvalidPlan: the title or the description is too long, or nothing of it can be seen.
    """
    if len(title) > MAX_TITLE_CHARS or len(description) > MAX_DESCRIPTION_CHARS:
        raise InvalidPlan
    return _seen(title, description)


def by_model(planned: PlannedFix, brief: str) -> PlannedFix:
    """Return what a model wrote about a brief, checked against it and cut to the limits.

    Raises:
        InvalidPlan: nothing of the title or the description can be seen.
    """
    found = _Found(brief)
    return _seen(found.checked(planned.title), found.checked(planned.description))


def _seen(title: str, description: str) -> PlannedFix:
    line = one_line(plain(title), MAX_TITLE_CHARS)
    shown = plain(description)
    if len(shown) > MAX_DESCRIPTION_CHARS:
        shown = shown[: MAX_DESCRIPTION_CHARS - len(_CUT)].rstrip() + _CUT
    if not line or not shown:
        raise InvalidPlan
    return PlannedFix(line, shown)


class _Found:
    """What occurs in a brief."""

    def __init__(self, brief: str) -> None:
        self._urls = frozenset(_stripped(url) for url in _URL.findall(brief))
        self._runs = "\n".join(f"/{_joined(run)}/" for run in _RUN.findall(brief))
        self._known: dict[str, bool] = {}

    def checked(self, text: str) -> str:
        """Return a text with unknown paths marked, without unknown addresses and without the marks of briefs."""
        shown = _MARK.sub(MARK_REMOVED, plain(text))
        parts: list[str] = []
        at = 0
        for url in _URL.finditer(shown):
            parts.append(_RUN.sub(self._marked, shown[at : url.start()]))
            known = _stripped(url[0]) in self._urls
            parts.append(url[0] if known else LINK_REMOVED + url[0][len(_stripped(url[0])) :])
            at = url.end()
        parts.append(_RUN.sub(self._marked, shown[at:]))
        return "".join(parts)

    def _marked(self, found: re.Match[str]) -> str:
        word = _stripped(found[0])
        called = found.string.startswith("(", found.end()) and not _SEPARATOR.search(word)  # as in router.go(page)
        if called or not looks_like_path(word) or self.has(word):
            return found[0]
        rest = found[0][len(word) :]
        already = not rest and found.string.startswith(NOT_IN_BRIEF, found.end())
        return found[0] if already else f"{word}{NOT_IN_BRIEF}{rest}"

    def has(self, path: str) -> bool:
        """Return whether the brief has this path, whole or as a part of a longer one from a separator on."""
        joined = _joined(path)
        if joined not in self._known:
            self._known[joined] = f"/{joined}/" in self._runs
        return self._known[joined]


def looks_like_path(word: str) -> bool:
    """Return whether a word looks like the path of a file or folder, and not like prose such as "and/or" or "1/2"."""
    if len(word) > _MAX_RUN_CHARS:
        return True
    names = _names(word)
    if not any(character.isalpha() for name in names for character in name):
        return False
    if not _SEPARATOR.search(word):
        return _is_file(word)
    return (
        len(names) > 2
        or word[0] in "/\\.~"
        or word[-1] in "/\\"
        or any("." in name or "_" in name for name in names)
        or names[0].lower() in _FOLDERS
    )


def _is_file(word: str) -> bool:
    if word.startswith("."):
        return word[1:2].islower()
    stem, dot, extension = word.rpartition(".")
    return bool(dot and stem) and extension.lower() in _EXTENSIONS and word.lower() not in _PRODUCTS


def _stripped(word: str) -> str:
    """Return a word without the signs that end a sentence or a clause."""
    return word.rstrip(".,;:!?-")


def _names(path: str) -> list[str]:
    return [name for name in _SEPARATOR.split(path) if name not in ("", ".", "..", "~")]


def _joined(path: str) -> str:
    return "/".join(_names(_stripped(path)))


def _text(title: str, description: str, by: str) -> str:
    return json.dumps({"title": title, "description": description, "by": by}, ensure_ascii=False)
