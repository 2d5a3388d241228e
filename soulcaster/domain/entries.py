"""How many entries a list that comes from outside may have."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema


@dataclass(frozen=True, slots=True)
class Entries:
    """Metadata of a tuple or list field: it has `least` to `most` entries, and these are counted first.

    Pydantic's own limits count the valid ones while it validates them: a list of invalid entries alone has no limit,
    and each of them makes an error, which takes a hundred times the memory of the entry.
    """

    most: int
    least: int = 0

    def counted(self, entries: Any) -> Any:
        """Return the entries, none of which is validated yet; what is no list is left to pydantic.

        Raises:
            ValueError: there are too many or too few.
        """
        if isinstance(entries, list | tuple):
            told = {"entries": f"{len(entries):,}", "most": f"{self.most:,}", "least": self.least}
            if len(entries) > self.most:
                raise PydanticCustomError("too_long", "This has {entries} entries; it may have {most}", told)
            if len(entries) < self.least:
                raise PydanticCustomError("too_short", "This has {entries} entries; it needs {least}", told)
        return entries

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return how pydantic validates the field."""
        return core_schema.no_info_before_validator_function(self.counted, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return how the API's description shows the field."""
        return {**handler(schema), "maxItems": self.most, **({"minItems": self.least} if self.least else {})}
