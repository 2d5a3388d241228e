"""What every answer of a kind has to be."""

import re
from typing import Any

from aiohttp import ClientResponse

from soulcaster.web.problems import ProblemDetails


async def problem(answer: ClientResponse, status: int) -> dict[str, Any]:
    """Return the problem details of an answer that must be one."""
    assert answer.status == status, await answer.text()
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = await answer.json(content_type="application/problem+json")
    details = ProblemDetails.model_validate(body)
    assert details.status == status
    assert details.instance == answer.url.raw_path
    assert details.detail
    return body


async def page(answer: ClientResponse, status: int = 200) -> str:
    """Return the HTML of an answer that must be a page."""
    text = await answer.text()
    assert answer.status == status, text
    assert answer.content_type == "text/html"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    scripts = re.findall(r"<script[^>]*>(?:[^<]|<(?!/script))*", text)
    assert scripts in ([], ['<script src="/app/static/job.js" defer>'])
    assert not scripts or "script-src 'self';" in answer.headers["Content-Security-Policy"]
    assert " style=" not in text
    return text
