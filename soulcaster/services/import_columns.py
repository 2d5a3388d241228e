"""Which column of a table holds what: what a person named, the exports that are known, and what names suggest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from soulcaster.errors import BadInput
from soulcaster.ports.rows import Row

TEXT_COLUMNS = (
    "text", "body", "message", "description", "content", "comment", "feedback", "review", "note", "question", "tweet",
    "review text", "review body", "comments", "message body", "ticket description", "details", "verbatim", "notes",
    "nachricht", "beschreibung", "kommentar", "rückmeldung", "rezension", "bewertungstext", "freitext", "anmerkung",
    "texte", "commentaire", "commentaires", "avis", "texto", "mensaje", "descripción", "comentario", "comentarios",
    "reseña", "mensagem", "descrição", "comentário", "comentários", "testo", "messaggio", "descrizione", "commento",
    "commenti", "recensione", "tekst", "omschrijving", "beschrijving", "opmerking", "opmerkingen", "beskrivning",
    "beskrivelse", "kommentarer", "kuvaus", "kommentti", "palaute", "treść", "opis", "komentarz", "opinia", "yorum",
    "açıklama",
    "текст", "сообщение", "описание", "комментарий", "отзыв", "повідомлення", "опис", "коментар", "відгук",
    "本文", "内容", "説明", "コメント", "レビュー", "ご意見", "评论", "评论内容", "描述", "反馈", "評論", "意見",
    "내용", "설명", "댓글", "리뷰", "의견",
)  # fmt: skip
"""Names that suggest the text, the likeliest first, in the languages of many exports."""

TITLE_COLUMNS = (
    "title", "subject", "headline", "summary", "review title", "ticket subject", "short description",
    "titel", "betreff", "zusammenfassung", "titre", "objet", "sujet", "résumé", "título", "asunto", "resumen",
    "assunto", "resumo", "titolo", "oggetto", "riepilogo", "onderwerp", "samenvatting", "rubrik", "ämne", "overskrift",
    "emne", "otsikko", "aihe", "tytuł", "temat", "konu", "заголовок", "тема",
    "başlık",
    "件名", "タイトル", "要約", "标题", "主题", "標題", "主旨", "제목",
)  # fmt: skip
"""Names that suggest the title, the likeliest first, in the languages of many exports."""

MOST_LISTED = 40
"""A message lists this many columns at most."""

_FEWEST_WORDS = 3
"""An open question's answers have so many words on the average, or more."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns that hold the text, id, title and time; None: not known yet, or no such column.

    Columns in `skip` are not imported at all. `guessed` are the roles `id` and `time` where a known export suggests the
    column and no person named it: such a column has to fit all rows.
    """

    text: str | None = None
    id: str | None = None
    title: str | None = None
    time: str | None = None
    skip: frozenset[str] = frozenset()
    guessed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Export:
    """The table that some product exports: known by columns that it always has, and what its columns hold.

    Where the text is not among `text`, an item has its title alone, or the answer to an open question.
    """

    needs: frozenset[str]
    text: tuple[str, ...] = ()
    title: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    time: tuple[str, ...] = ()


EXPORTS: Mapping[str, Export] = {
    "Jira": Export(
        frozenset({"summary", "issue key"}), ("description",), ("summary",), ("issue key",), ("created",)
    ),
    "Play Console": Export(
        frozenset({"review text", "star rating"}),
        ("review text",),
        ("review title",),
        ("review link",),
        ("review submit millis since epoch", "review submit date and time"),
    ),
    "Zendesk": Export(
        frozenset({"subject", "requester"}),
        ("description", "comment", "comments"),
        ("subject",),
        ("id", "ticket id"),
        ("created at", "requested"),
    ),
    "Zendesk Explore": Export(
        frozenset({"ticket id", "ticket subject"}),
        ("ticket description", "comment", "description"),
        ("ticket subject",),
        ("ticket id",),
        ("ticket created - timestamp", "ticket created", "created at"),
    ),
    "Intercom": Export(
        frozenset({"conversation id"}),
        ("first user message", "first message", "message body", "message", "body", "conversation"),
        ("conversation title", "subject", "title"),
        ("conversation id",),
        ("conversation started at", "started at", "created at"),
    ),
    "Typeform": Export(frozenset({"submit date (utc)", "network id"}), id=("#",), time=("submit date (utc)",)),
    "SurveyMonkey": Export(
        frozenset({"respondent id", "collector id"}), id=("respondent id",), time=("end date", "start date")
    ),
    "Qualtrics": Export(frozenset({"responseid", "startdate"}), id=("responseid",), time=("recordeddate", "startdate")),
}  # fmt: skip
"""The exports that are known; names in lower case."""

COLUMN_NAMES = frozenset({*TEXT_COLUMNS, *TITLE_COLUMNS, *(name for one in EXPORTS.values() for name in one.needs)})
"""Names that only a table's header has, in lower case."""


def choose_columns(columns: Columns, present: Sequence[str], sample: Sequence[Row] = ()) -> Columns:
    """Return the columns with those filled in that are None, from the columns present and some first rows.

    A column that has no other role and is the only one of that kind is the text, whatever its name; so is the only
    question that people answer in their own words.

    Raises:
        BadInput: a named column is not present, or no column looks like the text or the title.
    """
    for name in (columns.text, columns.id, columns.title, columns.time):
        if name is not None and name not in present:
            raise BadInput(f"There is no column {name!r}; the columns are: {listed(present)}.")
    by_name = {name.casefold(): name for name in reversed(present)}
    by_name = {name.removesuffix(" (utc)"): own for name, own in by_name.items()} | by_name
    export = next((one for one in EXPORTS.values() if one.needs <= by_name.keys()), None)
    if export is not None:
        columns = _filled_in(columns, export, by_name)
    taken = {columns.id, columns.title, columns.time, *columns.skip}
    free = [name for name in present if name not in taken]
    text = columns.text
    if text is None and (export is None or not export.text):
        text = _first_present(TEXT_COLUMNS, free) or (free[0] if len(free) == 1 else _open_question(free, sample))
    title = columns.title
    if title is None and export is None:
        title = _first_present(TITLE_COLUMNS, [name for name in free if name != text])
    if text is None and title is None:
        raise BadInput(
            f"No column looks like the text; name it with --text-column. The columns are: {listed(present)}."
        )
    return replace(columns, text=text, title=title)


def listed(names: Sequence[str]) -> str:
    """Return names for a message, not all of them if they are many."""
    more = len(names) - MOST_LISTED
    return (", ".join(names[:MOST_LISTED]) or "none") + (f" and {more:,} more" if more > 0 else "")


def _filled_in(columns: Columns, export: Export, by_name: Mapping[str, str]) -> Columns:
    named = {columns.text, columns.id, columns.title, columns.time, *columns.skip} - {None}

    def of(candidates: Sequence[str]) -> str | None:
        return next((by_name[name] for name in candidates if name in by_name and by_name[name] not in named), None)

    suggested = replace(
        columns,
        text=columns.text or of(export.text),
        title=columns.title or of(export.title),
        id=columns.id or of(export.id),
        time=columns.time or of(export.time),
    )
    guessed = {
        role for role in ("id", "time") if getattr(columns, role) is None and getattr(suggested, role) is not None
    }
    return replace(suggested, guessed=frozenset(guessed))


def _first_present(wanted: Sequence[str], present: Sequence[str]) -> str | None:
    """Return the first wanted column that is present, in upper or lower case."""
    by_name = {name.casefold(): name for name in reversed(present)}
    return next((by_name[name] for name in wanted if name in by_name), None)


def _open_question(free: Sequence[str], sample: Sequence[Row]) -> str | None:
    """Return the column whose name is a question and whose answers are sentences, if there is one only."""
    found = []
    for name in free:
        if name.rstrip().endswith(("?", "？")):  # noqa: RUF001
            answers = [value for row in sample if isinstance(value := row.values.get(name), str) and value.strip()]
            if answers and sum(len(answer.split()) for answer in answers) >= _FEWEST_WORDS * len(answers):
                found.append(name)
    return found[0] if len(found) == 1 else None
