"""What the program of a job says about it: log lines, states, what it has made so far, what it has spent."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from soulcaster.domain.fixes.outcome import FixOutcome
from soulcaster.errors import Fenced
from soulcaster.fixer.job_client import JobClient, State

HEARD_CHARS = 2 * 2**20
"""How much of what commands print the log of a launch has; Redis keeps 5 MB of all launches of a job."""

SPENT_SECONDS = 5.0
"""How often money that was spent is reported."""


class Progress:
    """Reports on one job; every call of it raises Fenced when the program must end."""

    def __init__(self, client: JobClient) -> None:
        self._client = client
        self._state: State = "running"
        self._outcome = FixOutcome()
        self._spent = self._reported = 0.0
        self._heard = 0

    def say(self, line: str) -> None:
        """Add a line to the log of the job."""
        self._client.log(line)

    def heard(self, line: str) -> None:
        """Add a line that a command printed, as long as they are at most `HEARD_CHARS` together."""
        if self._heard > HEARD_CHARS:
            return
        self._heard += len(line) + 1
        if self._heard > HEARD_CHARS:
            line = f"... what is printed from here on is not kept: it is more than {HEARD_CHARS:,} characters ..."
        self._client.log(line)

    def made(self, **fields: Any) -> None:
        """Note what the job has made, by the fields of FixOutcome; it goes out with the next report."""
        self._outcome = replace(self._outcome, **fields)

    def flag(self, flags: Iterable[str]) -> None:
        """Add remarks for the reviewer."""
        self.made(flags=tuple(dict.fromkeys([*self._outcome.flags, *flags])))

    def blocked(self, hosts: Iterable[str]) -> None:
        """Add hosts that something in the sandbox tried to reach and could not."""
        self.made(blocked_hosts=tuple(dict.fromkeys([*self._outcome.blocked_hosts, *hosts])))

    def spent(self, usd: float, tokens_in: int, tokens_out: int) -> None:
        """Note all that this launch has spent so far."""
        self._spent = usd
        self.made(tokens_in=tokens_in, tokens_out=tokens_out)

    @property
    def outcome(self) -> FixOutcome:
        """Return what the job has made so far."""
        return self._outcome

    @property
    def spent_usd(self) -> float:
        """Return what this launch has spent so far."""
        return self._spent

    async def enter(self, state: State) -> None:
        """Report that the job is in this state now."""
        self._state = state
        await self._report()

    async def succeeded(self, *, pr_url: str | None) -> None:
        """Report that the job did what it was ordered to."""
        self._state = "succeeded"
        await self._report(pr_url=pr_url)

    async def failed(self, reason: str) -> None:
        """Report that the job cannot do what it was ordered to, with a reason that a person can act on."""
        self._state = "failed"
        self.say(reason)
        await self._report(error=reason)

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Report what is spent while the block runs."""
        task = asyncio.create_task(self._report_spent())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.result()  # raises what ended it

    async def _report_spent(self) -> None:
        while True:
            await asyncio.sleep(SPENT_SECONDS)
            if self._spent != self._reported:
                with suppress(Fenced):  # the client, which also sends log lines, ends the program then
                    await self._report()

    async def _report(self, **fields: Any) -> None:
        self._reported = self._spent
        await self._client.report(self._state, outcome=self._outcome, cost_usd=self._spent or None, **fields)
