"""What a person or a program gives as text: the types of such fields, which clean it as items are cleaned."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, PydanticKnownError, core_schema

from soulcaster.domain.text.normalize import SEEN, clean, whole_line


@dataclass(frozen=True, slots=True)
class Text:
    """Metadata of a string field: text of several lines, cleaned, of at most `most` characters.

    A text in which nothing can be read becomes `blank`; without one it is refused.
    """

    most: int
    blank: str | None = None

    def cleaned(self, text: str) -> str:
        """Return the text cleaned.

        Raises:
            ValueError: it is too long, or nothing in it can be read.
        """
        shown = self._shown(text)
        if len(shown) > self.most:
            raise PydanticKnownError("string_too_long", {"max_length": self.most})
        if shown:
            return shown
        if self.blank is None:
            raise PydanticCustomError("unreadable", "There is nothing in it that can be read")
        return self.blank

    def _shown(self, text: str) -> str:
        return clean(text)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return how pydantic validates the field."""
        return core_schema.no_info_after_validator_function(self.cleaned, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return how the API's description shows the field."""
        return {**handler(schema), "maxLength": self.most, **({} if self.blank is not None else {"pattern": SEEN})}


@dataclass(frozen=True, slots=True)
class OneLine(Text):
    """Metadata of a string field: text on one line, cleaned; line ends and other white space become one space."""

    def _shown(self, text: str) -> str:
        return whole_line(text)
