"""Logging, the same in every process: lines on stderr, which the process's supervisor keeps."""

import logging
import sys

import structlog

QUIET = ("aiobotocore", "aiokafka", "asyncio", "boto3", "botocore", "faust", "httpx", "mode", "pyqwest")
"""Libraries that log every reconnection, or every request with its secrets; only their warnings and errors are kept."""


def configure(level: str) -> None:
    """Write our logs and those of libraries to stderr, from this level (DEBUG, INFO, WARNING, ERROR) on."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(stream=sys.stderr, level=number, format="%(asctime)s [%(levelname)-8s] %(name)s: %(message)s")
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )
