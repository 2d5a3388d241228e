import pytest

from soulcaster.errors import BadInput
from soulcaster.ports.rows import Row
from soulcaster.services.import_columns import Columns, choose_columns


@pytest.mark.parametrize(
    ("present", "text", "title"),
    [
        (["id", "Text", "x"], "Text", None),
        (["comment", "body"], "body", None),
        (["anything"], "anything", None),
        (["title", "description"], "description", "title"),
        (["subject", "n"], None, "subject"),
        (["Vorgang", "Zusammenfassung", "Beschreibung", "Text"], "Text", "Zusammenfassung"),
        (["Horodatage", "Objet", "Commentaire"], "Commentaire", "Objet"),
        (["fecha", "Título", "RESEÑA"], "RESEÑA", "Título"),
        (["Data", "Oggetto", "Recensione"], "Recensione", "Oggetto"),
        (["Дата", "Тема", "Отзыв"], "Отзыв", "Тема"),
        (["日時", "件名", "コメント"], "コメント", "件名"),
        (["日期", "标题", "评论内容"], "评论内容", "标题"),
    ],
)
def test_the_text_is_looked_for(present: list[str], text: str | None, title: str | None) -> None:
    found = choose_columns(Columns(), present)
    assert (found.text, found.title) == (text, title)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (["Summary", "Issue key", "Created", "Comment"], Columns(None, "Issue key", "Summary", "Created")),
        (["Issue key", "Summary", "Comment", "Description"], Columns("Description", "Issue key", "Summary")),
        (
            ["Device", "Star Rating", "Review Title", "Review Text", "Review Submit Date and Time", "Review Link"],
            Columns("Review Text", "Review Link", "Review Title", "Review Submit Date and Time"),
        ),
        (["Id", "Requester", "Subject", "Created at"], Columns(None, "Id", "Subject", "Created at")),
        (
            ["Ticket ID", "Ticket subject", "Ticket description"],
            Columns("Ticket description", "Ticket ID", "Ticket subject"),
        ),
        (
            ["Conversation ID", "Conversation started at (UTC)", "Message body"],
            Columns("Message body", "Conversation ID", None, "Conversation started at (UTC)"),
        ),
        (
            ["#", "Why?", "Start Date (UTC)", "Submit Date (UTC)", "Network ID"],
            Columns("Why?", "#", None, "Submit Date (UTC)"),
        ),
        (["Respondent ID", "Collector ID", "End Date", "Why?"], Columns("Why?", "Respondent ID", None, "End Date")),
        (["StartDate", "ResponseId", "Why?"], Columns("Why?", "ResponseId", None, "StartDate")),
    ],
)
def test_known_exports_need_no_names_of_columns(present: list[str], expected: Columns) -> None:
    found = choose_columns(Columns(), present, [Row(1, 2, {"Why?": "because it never works"})])
    assert (found.text, found.id, found.title, found.time) == (
        expected.text,
        expected.id,
        expected.title,
        expected.time,
    )
    assert found.guessed == {role for role in ("id", "time") if getattr(expected, role)}


def test_what_a_person_names_is_no_guess() -> None:
    named = Columns(text="Comment", id="Issue id")
    found = choose_columns(named, ["Summary", "Issue key", "Issue id", "Created", "Comment", "Description"])
    assert (found.text, found.id, found.title, found.time) == ("Comment", "Issue id", "Summary", "Created")
    assert found.guessed == {"time"}


def test_the_one_question_that_people_answer_in_sentences_is_the_text() -> None:
    answers = [Row(1, 2, {"Which?": "Print", "Why?": "it is always slow", "More?": "I do not know"})]
    assert choose_columns(Columns(), ["Time", "Which?", "Why?"], answers).text == "Why?"
    with pytest.raises(BadInput, match="--text-column"):
        choose_columns(Columns(), ["Time", "Which?", "Why?", "More?"], answers)


def test_of_thousands_of_columns_not_all_are_listed() -> None:
    with pytest.raises(BadInput, match="c39 and 1,960 more"):
        choose_columns(Columns(), [f"c{n}" for n in range(2000)])


def test_a_column_named_otherwise_is_not_also_the_text() -> None:
    assert choose_columns(Columns(title="text"), ["text", "body"]).text == "body"


def test_what_is_named_must_be_there() -> None:
    with pytest.raises(BadInput, match=r"no column 'zz'; the columns are: a, b"):
        choose_columns(Columns(text="zz"), ["a", "b"])
    with pytest.raises(BadInput, match=r"--text-column.*a, b"):
        choose_columns(Columns(), ["a", "b"])
