"""Logging, the same in every process: lines on stderr, which the process's supervisor keeps.

A line has ids and never what people wrote. Errors of libraries quote it: pydantic the invalid value, redis-py the
command, aiohttp a request that is no HTTP. Such quotations are cut out here, once, for every line and traceback. A line
that cannot be written is lost and counted, and never fails what was to be logged.
"""

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from soulcaster.domain.text.normalize import escaped
from soulcaster.telemetry.lossy_stream import may_lose
from soulcaster.telemetry.metrics import LOG_LINES_LOST

QUIET = ("aiobotocore", "aiokafka", "asyncio", "boto3", "botocore", "faust", "httpx", "mode", "pyqwest")
"""Libraries that log every reconnection, or every request with its secrets; only their warnings and errors are kept."""


_QUOTATIONS = (
    (re.compile(r"^((?>.*?input_value=)).*, input_type=", re.MULTILINE), r"\1…, input_type="),
    (re.compile(r"^((?>.*?Command # \d+ \(\w+)).*\) of pipeline", re.MULTILINE), r"\1 …) of pipeline"),
)
"""Quotations of pydantic and of redis-py, and what is left of them; neither has a line break.

An expression that is anchored reads each line once, however often a quotation seems to begin in it.
"""


def without_quotations(text: str) -> str:
    """Return a log line or traceback without the values that errors of libraries quote."""
    for quotation, left in _QUOTATIONS:
        text = quotation.sub(left, text)
    return text


_NO_HTTP = "aiohttp.http_exceptions"
"""The module of errors that quote the line of a request that is no HTTP, such as a header with a key in it. Whoever
sends one has the status 400; his address is all that a log needs."""


class _Formatter(logging.Formatter):
    """Formats the lines of libraries, without quotations and escaped for a terminal; structlog escapes ours."""

    def formatException(self, ei: Any) -> str:  # noqa: N802  the name that logging gives it
        kind = ei[0]
        return "" if kind is not None and kind.__module__ == _NO_HTTP else super().formatException(ei)

    def format(self, record: logging.LogRecord) -> str:
        return escaped(without_quotations(super().format(record)))


def _cut_quotations(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: without_quotations(value) if isinstance(value, str) else value for name, value in event.items()}


def configure(level: str) -> None:
    """Write our logs and those of libraries to stderr, from this level (DEBUG, INFO, WARNING, ERROR) on."""
    may_lose("stdout", "stderr", lost=LOG_LINES_LOST.inc)
    number = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s [%(levelname)-8s] %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _cut_quotations,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )
