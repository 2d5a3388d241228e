"""Sandboxes of E2B, by its SDK.

Sources: the SDK (e2b 2.63: `sandbox_async/`, `envd/`, `retry.py`) and the API's server (github.com/e2b-dev/runtime,
`packages/api`, above all `internal/middleware/idempotency`; `packages/envd` is the daemon in each sandbox, read in
github.com/e2b-dev/infra). E2B's own variables E2B_API_URL, E2B_SANDBOX_URL,
E2B_DOMAIN and E2B_HTTP_VERSION apply, because the SDK reads them. E2B_DEBUG does not: with it the SDK creates and
removes nothing and reports success.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cachetools import LRUCache
from e2b import (
    ApiParams,
    AsyncSandbox,
    AuthenticationException,
    CommandExitException,
    RateLimitException,
    SandboxException,
    SandboxNotFoundException,
    SandboxNotRunningException,
    SandboxQuery,
    SandboxState,
    ServiceBusyException,
)

from soulcaster.errors import SandboxGone, SandboxRefused, SoulcasterError, Unavailable
from soulcaster.ports.sandboxes import Sandbox, ScriptResult

CREATE_SECONDS = 30.0
"""Time limit of creating a sandbox."""

CALL_SECONDS = 10.0
"""Time limit of every other call, and of a script."""

PAGE = 100
"""Sandboxes per page of a list, E2B's maximum."""

LAUNCH = "soulcaster-launch"
"""Name of the metadata that holds a launch's key."""

_TRIES = 40
_WAIT_SECONDS = 0.25
"""How often, and after which wait, a request is repeated while another process creates the same sandbox."""

_OPEN = 256
"""Sandboxes whose access tokens are kept, so that asking one again takes one request."""

_OTHER_REQUEST = "different request"
"""In E2B's answer to an idempotency key that came with another request before."""

_WORDS = 300
"""Characters kept of what E2B answers."""


class E2bSandboxes:
    """`ports.Sandboxes` at E2B.

    The SDK shares its connections in the whole process, so there is nothing to close.
    """

    def __init__(self, key: str, template: str, *, api_url: str | None = None, sandbox_url: str | None = None) -> None:
        """Prepare; the addresses are E2B's own, or those of the SDK's variables, when they are None."""
        self._template = template
        self._options: ApiParams = {
            "api_key": key,
            "api_url": api_url,
            "sandbox_url": sandbox_url,
            "debug": False,
            "retries": 0,  # the launcher repeats calls, with its own waits
        }
        self._failed: LRUCache[str, int] = LRUCache(1_000)
        """How many requests to create a sandbox E2B has answered with a failure, by launch."""
        self._open: LRUCache[str, AsyncSandbox] = LRUCache(_OPEN)

    async def find(self, key: str) -> list[Sandbox]:
        """Return the sandboxes of a launch; see `ports.Sandboxes`."""
        with self._translated():
            pages = AsyncSandbox.list(
                SandboxQuery(metadata={LAUNCH: key}), limit=PAGE, order="asc", **self._within(CALL_SECONDS)
            )
            found: list[Sandbox] = []
            while pages.has_next:
                found += [
                    Sandbox(item.sandbox_id, paused=item.state == SandboxState.PAUSED)
                    for item in await pages.next_items()
                ]
            return found

    async def create(self, key: str, seconds: int) -> Sandbox:
        """Create a sandbox of a launch; see `ports.Sandboxes`.

        While another process creates the same one, E2B asks to repeat the request, and this waits.
        """
        for _ in range(_TRIES):
            try:
                return await self._create(key, seconds)
            except SoulcasterError as error:
                if not _is_in_progress(error.__cause__):
                    raise
            await asyncio.sleep(_WAIT_SECONDS)
        raise Unavailable("E2B is still creating the sandbox of this launch.")

    async def _create(self, key: str, seconds: int) -> Sandbox:
        """Send one request to create a sandbox.

        E2B records its answer to an idempotency key, a failure too. So a request after a failure has the next key of a
        fixed sequence: whoever repeats it walks through the same recorded failures to the same sandbox.
        """
        failed = self._failed.get(key, 0)
        try:
            with self._translated(creating=seconds):
                created = await AsyncSandbox.create(
                    self._template,
                    timeout=seconds,
                    metadata={LAUNCH: key},
                    lifecycle={"on_timeout": "kill"},
                    idempotency_key=hashlib.sha256(f"{key}/{failed}".encode()).hexdigest(),
                    **self._within(CREATE_SECONDS),
                )
        except SoulcasterError as error:
            if _is_recorded_failure(error.__cause__):
                self._failed[key] = failed + 1
            raise
        self._failed.pop(key, None)
        self._open[created.sandbox_id] = created
        return Sandbox(created.sandbox_id)

    async def prolong(self, sandbox: Sandbox, seconds: int) -> None:
        """Let a sandbox live longer; see `ports.Sandboxes`."""
        with self._translated():
            await AsyncSandbox.set_timeout(sandbox.id, seconds, **self._within(CALL_SECONDS))

    async def run(self, sandbox: Sandbox, script: str, environment: Mapping[str, str]) -> ScriptResult:
        """Run a short bash script in a sandbox; see `ports.Sandboxes`."""
        with self._translated():
            connection = await self._connection(sandbox)
            try:
                result = await connection.commands.run(
                    script, envs=dict(environment), timeout=CALL_SECONDS, request_timeout=CALL_SECONDS
                )
            except CommandExitException as failure:
                return ScriptResult(failure.exit_code, failure.stdout, failure.stderr)
            return ScriptResult(result.exit_code, result.stdout, result.stderr)

    async def remove(self, sandbox: Sandbox) -> None:
        """Remove a sandbox; see `ports.Sandboxes`."""
        self._open.pop(sandbox.id, None)
        with self._translated():
            await AsyncSandbox.kill(sandbox.id, **self._within(CALL_SECONDS))

    def _within(self, seconds: float) -> ApiParams:
        return {**self._options, "request_timeout": seconds}

    async def _connection(self, sandbox: Sandbox) -> AsyncSandbox:
        connection = self._open.get(sandbox.id)
        if connection is None:
            info = await AsyncSandbox.get_info(sandbox.id, **self._within(CALL_SECONDS))
            if info.state == SandboxState.PAUSED:  # to connect would resume it
                raise SandboxGone("This sandbox is paused.")
            # A time to live that is shorter than what is left changes nothing.
            connection = await AsyncSandbox.connect(sandbox.id, timeout=1, **self._within(CALL_SECONDS))
            self._open[sandbox.id] = connection
        return connection

    @contextmanager
    def _translated(self, *, creating: int | None = None) -> Iterator[None]:
        """Raise the SDK's errors as ours. `creating` is the time to live of the sandbox that is being created."""
        try:
            yield
        except SoulcasterError:
            raise
        except Exception as error:  # of an answer that it cannot read the SDK makes a bare Exception
            raise self._error(error, creating) from error

    def _error(self, error: Exception, creating: int | None) -> SoulcasterError:
        words = " ".join(str(error).split())[:_WORDS] or repr(error)[:_WORDS]
        status = error.status_code if isinstance(error, SandboxException) else None
        match error:
            case SandboxNotRunningException() | SandboxNotFoundException():
                return SandboxGone()
            case AuthenticationException():
                return SandboxRefused(f"E2B refuses the key; check E2B_API_KEY ({words}).")
            case RateLimitException() if "concurrent" in words:
                return SandboxRefused(f"E2B starts no more sandboxes for now ({words}).")
            case SandboxException() if status == 403:
                return SandboxRefused(
                    f"E2B refuses the key or the template {self._template}; check E2B_API_KEY and "
                    f"KILOCODE_TEMPLATE_NAME ({words})."
                )
            case SandboxException() if creating is not None and status is not None:
                return self._creation_error(status, words, creating)
        return Unavailable(f"E2B does not answer, or not as it should ({words}).")

    def _creation_error(self, status: int, words: str, seconds: int) -> SoulcasterError:
        if status == 404:
            return SandboxRefused(
                f"E2B has no template {self._template}; check KILOCODE_TEMPLATE_NAME or KILOCODE_TEMPLATE_ID ({words})."
            )
        if status == 400 and "timeout" in words.lower():
            return SandboxRefused(
                f"E2B lets no sandbox live for {seconds} seconds ({words}). A sandbox must outlive the time limit of a "
                "job: lower SANDBOX_AGENT_TIMEOUT_SECONDS and E2B_SANDBOX_TTL_SECONDS, or choose an E2B plan that "
                "allows more."
            )
        if status == 409 and _OTHER_REQUEST in words:
            return SandboxRefused(
                "This launch had a sandbox that is gone, and settings have changed since; a retry is a new launch "
                f"({words})."
            )
        if status == 400:
            return SandboxRefused(f"E2B refuses to create a sandbox ({words}).")
        return Unavailable(f"E2B did not create a sandbox ({words}).")


def _is_recorded_failure(error: BaseException | None) -> bool:
    """Return whether this answer to a request to create a sandbox is what E2B answers to every repetition of it.

    Answers of a gateway or a rate limit are not recorded, nor is an answer that the result is not known yet.
    """
    match error:
        case ServiceBusyException():
            return "Idempotency-Key" not in str(error)
        case RateLimitException():
            return "concurrent" in str(error)
        case SandboxException():
            return error.status_code in {400, 403, 404, 422, 500}
    return False


def _is_in_progress(error: BaseException | None) -> bool:
    """Return whether E2B answers that it still works on an earlier request with the same idempotency key."""
    return isinstance(error, SandboxException) and error.status_code == 409 and _OTHER_REQUEST not in str(error)
