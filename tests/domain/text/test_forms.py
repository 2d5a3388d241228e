"""Forms: the answers are compared, not the questions."""

import pytest

from soulcaster.domain.feedback.items import COMPARED_CHARS, compared_item
from soulcaster.domain.text.comparable import comparable
from tests.support.make import item

SAID = "The tuner drops the station after a minute."

GITHUB = f"""### Before you start

- [X] I have read the manual
- [x] I run the newest firmware

### What goes wrong?

{SAID}

### How do you make it happen?

_No response_

### Firmware

v7.1.0-beta2

### Picture

![Image](https://pictures.example/1b2c/4)

### Anything else?

N/A
"""
MARKDOWN = f"""**Checklist**
- [ ] this is no question

**Describe the bug**
<!-- A short text of what is wrong -->
{SAID}

**Additional context**
None.
"""
GITLAB = f"## Summary\n\n{SAID}\n\n## Relevant logs\n\n*No response*\n\n## Environment\n\n`7.1.0`\n\n/label ~bug"
GERMAN = f"### Was passiert?\n\n{SAID}\n\n### Version\n\n7.1\n\n### Verhaltenskodex\n\n- [x] Ich halte ihn ein"


@pytest.mark.parametrize("form", [GITHUB, GITHUB.replace("\n", "\r\n"), MARKDOWN, GERMAN])
def test_a_form_is_compared_by_its_answers(form: str) -> None:
    made = compared_item(item(title="[Bug]: No station", body=form))
    assert made.text == f"No station\n{SAID}"


def test_what_a_form_asks_besides_stays_an_answer() -> None:
    assert comparable(GITLAB, COMPARED_CHARS) == f"{SAID}\n7.1.0\n/label ~bug"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Radio\n\nIt hums.", "Radio\nIt hums."),
        ("Buy:\n- [x] bread\n- [ ] milk", "Buy:\nbread\nmilk"),
        ("### A\n\n_No response_\n\n### B\n\n- [ ] yes", "A\nNo response\nB\nyes"),
        ("```sh\n# one\n# two\n# three\nrun\n```", "one\ntwo\nthree\nrun"),
        ("none of the stations works", "none of the stations works"),
    ],
)
def test_what_is_no_form_or_an_empty_one_stays(text: str, expected: str) -> None:
    assert comparable(text, COMPARED_CHARS) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("[BUG] hums", "hums"),
        ("[Feature Request]: more bass", "more bass"),
        ("Bug: hums", "hums"),
        ("[Bug report] hums", "hums"),
        ("[Android] hums", "[Android] hums"),
        ("Buggy tuner", "Buggy tuner"),
        ("[Bug]:", "[Bug]:"),
    ],
)
def test_a_title_is_compared_without_its_kind(title: str, expected: str) -> None:
    made = compared_item(item(title=title, body="Since today."))
    assert (made.title, made.text) == (title, f"{expected}\nSince today.")
