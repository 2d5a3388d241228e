"""The way of a fix inside its job: from the order to a draft pull request.

1. Clone the base commit with a credential that only reads, and forget the credential.
2. Set up the tree in the sandbox, and keep it: every later step works on a copy of it.
3. Run the tests in a copy: what they say before the change.
4. Have the coding agent change another copy.
5. Take a patch out of that copy and nothing else, apply it to our own clone, and check what it changes.
6. Run the tests in fresh copies with the patch and with parts of it, and judge.
7. Ask for a credential that writes, and publish from a clone that nothing in the sandbox has ever seen.

Nothing is kept between launches: the next launch of a job begins anew, and step 7 finds what an earlier one published.
A fix ends as succeeded or failed, with a reason that a person can act on. What may succeed later (GitHub or the model
does not answer) is raised: the program ends, and the launcher launches it again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from soulcaster.domain.fixes.order import Credential, CredentialUse, JobOrder
from soulcaster.domain.fixes.outcome import TestSummary
from soulcaster.domain.fixes.patch import Patch
from soulcaster.domain.fixes.prompt import prompt_of
from soulcaster.domain.fixes.strangers import plain_line
from soulcaster.domain.fixes.test_runs import TestRun
from soulcaster.domain.fixes.verdict import judge
from soulcaster.errors import AgentUnusable, FixRefused, NoPatch, NoScan, SourceRefuses, TreeUnusable
from soulcaster.fixer.ecosystems.detection import plan_tests
from soulcaster.fixer.ecosystems.repository_tests import RepositoryTests, broken_setup
from soulcaster.fixer.git.clone import Clone, check_out, clone
from soulcaster.fixer.git.program import Remote
from soulcaster.fixer.git.putting import put_patch
from soulcaster.fixer.inspection import Inspection, inspect
from soulcaster.fixer.progress import Progress
from soulcaster.fixer.publishing import Made, Published, Publishing, Pushed
from soulcaster.fixer.trees import Trees
from soulcaster.fixer.trial import Trial
from soulcaster.ports.code_host import CodeHost
from soulcaster.ports.coding_agent import AgentRun, CodingAgentRunner
from soulcaster.ports.sandbox import NoSandbox, Sandbox, SandboxLimits, Tree

FAILURES = (FixRefused, SourceRefuses, NoPatch, NoScan, NoSandbox, AgentUnusable, TreeUnusable)
"""What another launch would not mend: the fix has failed, and the message is the reason."""

RESERVED_SECONDS = 20.0
"""How long before its time limit a fix ends by itself, so that it can still clean up and say why."""

PUBLISHING_SECONDS = 180.0
PUBLISHING_SHARE = 0.2
"""What is kept of the time limit for publishing: so many seconds, as GitHub may have us wait for two minutes, and at
most this part of it."""

STEP_SHARE = 0.25
"""The part of the time limit that one set-up, or one run of the tests, may take."""

LEAST_AGENT_SECONDS = 30.0

RUNS_AFTER = 4
"""How often the tests may run after the change; the coding agent leaves the time for it."""

DIFF_LINES = 400
DIFF_CHARS = 400
"""How much of a refused change the log shows."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a fix uses of its surroundings.

    `credential` asks the API for a secret; `host` opens the code host with it; `agent` gives the coding agent of the
    order, or raises AgentUnusable. `place` is an empty folder of ours that no command in the sandbox sees.
    """

    sandbox: Sandbox
    agent: Callable[[], CodingAgentRunner]
    credential: Callable[[CredentialUse], Awaitable[Credential]]
    host: Callable[[Credential], AbstractAsyncContextManager[CodeHost]]
    place: Path


class FixRun:
    """Goes the way of one launch of a fix."""

    def __init__(self, order: JobOrder, progress: Progress, tools: Tools) -> None:
        """Prepare.

        Raises:
            ValueError: the order has no target.
        """
        if order.target is None:
            raise ValueError(f"job {order.job_id} has no target")
        self._order = order
        self._target = order.target
        self._progress = progress
        self._tools = tools
        self._trees = Trees(tools.place)
        self._kept = min(PUBLISHING_SECONDS, order.seconds * PUBLISHING_SHARE)
        self._ends_at = time.monotonic() + order.seconds - RESERVED_SECONDS - self._kept
        self._step = SandboxLimits(seconds=order.seconds * STEP_SHARE)

    async def run(self) -> None:
        """Go the whole way, and report how it ended.

        Raises:
            Fenced: the job has ended, or another launch of it has begun.
            SourceUnavailable: GitHub does not answer.
        """
        working, publishing = asyncio.timeout(self._left()), asyncio.timeout(self._left() + self._kept)
        limit = f"its time limit of {self._order.seconds} s"
        try:
            async with self._progress.reporting():
                async with working:
                    patch, summary = await self._work()
                async with publishing:
                    published = await self._publish(patch, summary)
                await self._succeed(published)
        except FAILURES as error:
            await self._fail(str(error))
        except TimeoutError:
            if working.expired():
                await self._fail(f"The fix took longer than {limit}.")
            elif publishing.expired():
                await self._fail(f"GitHub had the fix wait until the end of {limit}. Start another one later.")
            else:
                raise

    async def _fail(self, reason: str) -> None:
        """Report a failure, with the branch that may be left, of this launch or of an earlier one."""
        if (pushed_to := self._progress.outcome.repository) is not None:
            branch = self._order.branch
            reason += f" The branch {branch} may be left in {pushed_to}: delete it, unless it has a pull request."
        await self._progress.failed(reason)

    async def _work(self) -> tuple[Patch, str]:
        """Return a patch that may be published, and what the coding agent says of it."""
        self._progress.made(repository=self._order.pushed_to)
        agent = self._tools.agent()
        source = await self._clone()
        prepared = self._trees.empty()
        await check_out(source, prepared.work)
        trial, before = await self._before(source, prepared)
        run, inspection = await self._change(agent, source, prepared, before)
        await self._judge(trial, prepared, before, inspection.patch)
        return inspection.patch, run.summary

    # ---- 1: clone ------------------------------------------------------------------------------------------------

    async def _clone(self) -> Clone:
        credential = await self._tools.credential("clone")
        target = self._target
        self._progress.say(f"cloning {target.repository}, {target.base_branch} at {target.base_commit[:12]}")
        url = f"{self._order.git_url.rstrip('/')}/{target.repository}.git"
        return await clone(
            Remote(url, credential.secret or None),
            target.repository,
            branch=target.base_branch,
            commit=target.base_commit,
            git_dir=self._tools.place / "base.git",
        )

    # ---- 2 and 3: set up, tests before ---------------------------------------------------------------------------

    async def _before(self, source: Clone, prepared: Tree) -> tuple[Trial, TestRun]:
        plan = plan_tests(prepared.work, self._order.rules)
        for note in plan.notes:
            self._progress.say(note)
        tests = RepositoryTests(self._tools.sandbox, plan, limits=self._step, on_line=self._progress.heard)
        put = partial(put_patch, source, self._tools.sandbox)
        trial = Trial(plan, tests, self._trees, put, on_blocked=self._progress.blocked)
        self._progress.say("setting up")
        ended = await tests.prepare(prepared)
        self._progress.blocked(ended.blocked)
        if ended.code == 0:
            self._progress.say("running the tests without the change")
            before = await trial.before(prepared)
        else:
            self._progress.say(f"the set-up failed: {ended.why}")
            before = broken_setup(ended)
        self._progress.made(before=summary_of(before))
        self._progress.say(f"without the change: {_in_words(before)}")
        return trial, before

    # ---- 4 and 5: change, take a patch ---------------------------------------------------------------------------

    async def _change(
        self, agent: CodingAgentRunner, source: Clone, prepared: Tree, before: TestRun
    ) -> tuple[AgentRun, Inspection]:
        """Have the agent change a copy of the prepared tree; return how it ended, and its patch.

        Raises:
            FixRefused: the agent did not come to its end, or what it changed may not be published.
            NoPatch: what it changed cannot be taken.
            NoScan: it cannot be scanned for secrets.
        """
        self._progress.say("the coding agent begins")
        prompt = prompt_of(self._order, before)
        async with self._trees.copy(prepared) as tree:
            seconds = max(self._left() - RUNS_AFTER * before.seconds, LEAST_AGENT_SECONDS)
            run = await agent.work(tree, prompt, seconds=seconds, on_line=self._progress.heard)
            self._progress.blocked(run.blocked)
            if run.end != "done":
                raise FixRefused(f"The coding agent did not finish: {run.why}")
            self._progress.say("the coding agent is done")
            inspection = await inspect(
                source,
                self._tools.sandbox,
                tree.work,
                prepared=prepared.work,
                scratch=self._tools.place / "taking",
                rules=self._order.rules,
            )
        for one in inspection.left_out:
            self._progress.say(f"ignored, so not in the patch: {plain_line(one, DIFF_CHARS)}")
        made = inspection.outcome()
        self._progress.made(files=made.files, added=made.added, deleted=made.deleted)
        self._progress.flag(made.flags)
        if inspection.refusals:
            self._refuse(inspection.refusals, inspection.patch)
        return run, inspection

    # ---- 6: judge ------------------------------------------------------------------------------------------------

    async def _judge(self, trial: Trial, prepared: Tree, before: TestRun, patch: Patch) -> None:
        """Run the tests with the patch.

        Raises:
            FixRefused: the tests, or what the patch does to them, speak against it.
        """
        self._progress.say("running the tests with the change")
        runs = await trial.runs(prepared, before, patch)
        verdict = judge(runs, patch)
        self._progress.made(after=summary_of(runs.after), shows_bug=verdict.shows_bug)
        self._progress.flag(verdict.flags)
        self._progress.say(f"with the change: {_in_words(runs.after)}")
        if not verdict.accepted:
            self._refuse(verdict.reasons, patch)

    def _refuse(self, reasons: tuple[str, ...], patch: Patch) -> None:
        self._progress.say("the change that is refused:")
        for line in patch.text.decode(errors="replace").splitlines()[:DIFF_LINES]:
            self._progress.say(f"  {plain_line(line, DIFF_CHARS) if line.strip() else ''}")
        raise FixRefused(" ".join(reasons))

    # ---- 7: publish ----------------------------------------------------------------------------------------------

    async def _publish(self, patch: Patch, summary: str) -> Published:
        await self._progress.enter("publishing")
        credential = await self._tools.credential("publish")
        async with self._tools.host(credential) as host:
            publishing = Publishing(
                host,
                self._order,
                credential.secret,
                self._tools.place / "publishing",
                now=datetime.now(UTC),
                at_point=self._progress.say,
                on_branch=self._on_branch,
            )
            made = Made(patch, self._progress.outcome, summary, self._order.spent_usd + self._progress.spent_usd)
            return await publishing.publish(made)

    async def _on_branch(self, pushed: Pushed | None) -> None:
        """Report where a branch is about to be, so that people know of it however this launch ends."""
        self._progress.made(repository=pushed and pushed.repository, commit=pushed and pushed.commit)
        if pushed is not None:
            await self._progress.enter("publishing")

    async def _succeed(self, published: Published) -> None:
        self._progress.made(repository=published.repository, commit=published.commit)
        self._progress.flag(published.flags)
        for flag in published.flags:
            self._progress.say(flag)
        self._progress.say(_told(published))
        opened = published.pull_request
        await self._progress.succeeded(pr_url=None if opened is None else opened.url)

    def _left(self) -> float:
        """Return how many seconds are left."""
        return max(self._ends_at - time.monotonic(), 1.0)


def summary_of(run: TestRun) -> TestSummary:
    """Return a run of the tests in numbers."""
    return TestSummary(run.status, run.count("passed"), run.count("failed"), run.count("skipped"), len(run.flaky))


def _in_words(run: TestRun) -> str:
    counts = ", ".join(f"{run.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped"))
    return f"tests {run.status} ({counts}, {len(run.flaky)} flaky)" if run.cases else f"tests: {run.status}"


def _told(published: Published) -> str:
    opened = published.pull_request
    branch = f"branch {published.branch} of {published.repository} at {published.commit[:12]}"
    return branch if opened is None else f"{branch}, pull request {opened.number}"
