"""The part of our HTTP API that the program of a job uses, with its job token."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import uuid4

import aiohttp
import stamina

from soulcaster.domain.fixes.order import Credential, CredentialUse, JobOrder
from soulcaster.domain.fixes.outcome import FixOutcome, cleaned
from soulcaster.domain.splitting import split_by_bytes
from soulcaster.domain.text.normalize import well_formed
from soulcaster.errors import ApiRefuses, ApiUnavailable, BadInput, Fenced, SourceRefuses
from soulcaster.http_client import AnswerTooLarge, RedirectedAway, http_session
from soulcaster.wire.job_orders import CredentialOut, JobOrderOut

REQUEST_SECONDS = 20.0
"""Longer than the server's own time limit."""

HEARTBEAT_SECONDS = 15.0
"""How often the program says that it runs, and at most how long its log lines wait."""

FLUSH_SECONDS = 0.5
"""How long log lines wait for others."""

ERROR_CHARS = 2_000
LINE_CHARS = 16 * 1024
PART_BYTES = 64 * 1024
"""How much of a log one request carries."""

State = Literal["running", "publishing", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class JobAddress:
    """Which job the program is of, and where it reports."""

    job_id: str
    url: str
    token: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "JobAddress":
        """Return what a launch backend gives a program.

        Raises:
            BadInput: a variable is missing.
        """
        names = ("JOB_ID", "BACKEND_URL", "JOB_TOKEN")
        missing = [name for name in names if not environment.get(name)]
        if missing:
            raise BadInput(f"{' and '.join(missing)} not set: a launch backend starts this program, not a person.")
        return cls(*(environment[name] for name in names))


class _Unprocessable(ApiRefuses):
    """The HTTP API answers 422, and says why."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(f"{message} ({reason})")
        self.reason = reason


class JobClient:
    """Reports on one job; a call is repeated while the server does not answer.

    Every call raises Fenced when the job has ended or another launch of it has begun: the program must end.
    """

    def __init__(self, session: aiohttp.ClientSession, address: JobAddress) -> None:
        self._session = session
        self._address = address
        self._lines: list[str] = []
        self._written = asyncio.Event()

    async def report(
        self,
        state: State,
        *,
        error: str | None = None,
        pr_url: str | None = None,
        outcome: FixOutcome | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Report what the job does now, what it made and what this launch spent, after the log lines so far.

        Raises:
            Fenced: the program must end.
            ApiRefuses: the server refuses the token, or the report.
        """
        await self.flush()
        fields = {
            "state": state,
            "error": error and well_formed(error)[:ERROR_CHARS],
            "pr_url": pr_url,
            "outcome": outcome and asdict(cleaned(outcome)),
            "cost_usd": cost_usd,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        await self._call("PATCH", f"/jobs/{self._address.job_id}", body)

    def log(self, line: str) -> None:
        """Add a line to the job's log, cut at `LINE_CHARS`; it is sent a moment later."""
        self._lines.append(well_formed(line)[:LINE_CHARS])
        self._written.set()

    async def flush(self) -> None:
        """Send the log lines that wait; without any, this is a heartbeat.

        Raises:
            Fenced: the program must end.
            ApiRefuses: the server refuses the token.
        """
        lines, self._lines = self._lines, []
        self._written.clear()
        sizes = [(line, len(line.encode()) + 1) for line in lines]
        parts: list[list[str]] = list(split_by_bytes(sizes, PART_BYTES))
        for part in parts or [[]]:
            text = "".join(f"{line}\n" for line in part)
            answer = await self._call("POST", f"/jobs/{self._address.job_id}/logs", {"text": text})
            if answer["job_status"] in {"success", "failed"}:
                raise Fenced

    async def order(self) -> JobOrder:
        """Return what the job is to do.

        Raises:
            Fenced: the program must end.
            ApiRefuses: the server refuses the token, or the job has no order.
        """
        answer = await self._call("GET", f"/jobs/{self._address.job_id}/order")
        if answer is None:
            raise ApiRefuses("The HTTP API knows no order of this job.")
        return JobOrderOut.model_validate(answer).root

    async def credential(self, use: CredentialUse) -> Credential:
        """Return a secret for one use.

        Raises:
            Fenced: the program must end.
            SourceRefuses: there is none, or GitHub gives none; the message says why.
            ApiRefuses: the server refuses the token.
        """
        try:
            answer = await self._call("POST", f"/jobs/{self._address.job_id}/credentials", {"use": use})
        except _Unprocessable as error:
            raise SourceRefuses(error.reason) from None
        return CredentialOut.model_validate(answer).root

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Send log lines and heartbeats while the block runs; when the program must end, the block is cancelled.

        Raises:
            Fenced: the program must end.
        """
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send())
                yield
                sending.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _send(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._written.wait()
                await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the body of a response, None for a 404; the same report twice counts once."""
        headers = {"Authorization": f"Bearer {self._address.token}", "Idempotency-Key": str(uuid4())}
        async for attempt in stamina.retry_context(on=_may_succeed_later, attempts=None, timeout=None, wait_max=5.0):
            with attempt:
                return await self._once(method, path, body, headers)
        raise AssertionError("stamina ended without a result or an error")

    async def _once(self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]) -> Any:
        url = f"{self._address.url.rstrip('/')}{path}"
        try:
            async with self._session.request(method, url, json=body, headers=headers) as answer:
                if answer.status == 404 and method == "GET":
                    return None
                if answer.status == 409:
                    raise Fenced
                if answer.status in {429, *range(500, 600)}:
                    raise ApiUnavailable
                refusal = f"The HTTP API refuses {method} {path}: status {answer.status}"
                if answer.status == 422:
                    raise _Unprocessable(refusal, (await answer.json(content_type=None)).get("detail"))
                if answer.status >= 400:
                    raise ApiRefuses(f"{refusal}.")
                return await answer.json()
        except (RedirectedAway, AnswerTooLarge) as error:
            raise ApiRefuses(f"The HTTP API at {error}.") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiUnavailable from error


def _may_succeed_later(error: Exception) -> bool:
    return isinstance(error, ApiUnavailable) and not isinstance(error, ApiRefuses)


@asynccontextmanager
async def job_client(address: JobAddress) -> AsyncIterator[JobClient]:
    """Give a client of the HTTP API for this job."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    async with http_session(timeout=timeout) as session:
        yield JobClient(session, address)
