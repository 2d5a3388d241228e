"""Every id Soulcaster makes: a UUIDv5 (RFC 9562) of what it identifies, so that work done twice gives the same id."""

import hashlib
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Annotated, Literal
from uuid import UUID

from pydantic import StringConstraints

NAMESPACE = UUID("6f1d6a1e-3a52-5d0c-9d2e-0f6f3f2a7c11")
_PREFIX = NAMESPACE.bytes

ShortId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""An id that somebody else may have made."""


def _id(*of: str) -> str:
    """Return `str(uuid.uuid5(NAMESPACE, json.dumps(of)))` at a third of its cost: every item needs one."""
    named = _PREFIX + f"[{', '.join(map(encode_basestring_ascii, of))}]".encode()
    digest = bytearray(hashlib.sha1(named, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    h = digest.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def id_bytes(of: str) -> bytes:
    """Return the 16 bytes of a UUID, several times as fast as `uuid.UUID`, which also parses forms not used here.

    Raises:
        ValueError: `of` is not a UUID.
    """
    raw = bytes.fromhex(of.replace("-", ""))
    if len(raw) != 16:
        raise ValueError(f"{of!r} is not a UUID")
    return raw


def item_id(project_id: str, source: str, external_id: str) -> str:
    """Return the id of an item; an external id sent twice by one source is one item."""
    return _id("item", project_id, source, external_id)


def posted_id(project_id: str, idempotency_key: str, index: int) -> str:
    """Return the external id of an item that a client posted without one, at `index` of a request with this key."""
    return _id("posted", project_id, idempotency_key, str(index))


def project_id_for(name: str) -> str:
    """Return the id of the project created for a new name."""
    return _id("project", name)


def user_id_for(kind: Literal["github", "email", "login"], value: str) -> str:
    """Return the id of the user behind a GitHub account (its number), an e-mail address or a GitHub login.

    Upper and lower case make no difference.
    """
    return _id("user", kind, value.lower())


def default_project_id_for(user_id: str) -> str:
    """Return the id of the project that every new user gets."""
    return _id("project of", user_id)


def users_project_id_for(user_id: str, name: str) -> str:
    """Return the id of a project that a user creates; the same request twice creates one project."""
    return _id("project of", user_id, name)


def cluster_id_for(project_id: str, first_item_id: str) -> str:
    """Return the id of the cluster opened by an item."""
    return _id("cluster", project_id, first_item_id)


def fix_command_id(cluster_id: str, last_job_id: str) -> str:
    """Return the id of the command for a cluster's next fix; two simultaneous requests give the same command.

    It derives from the cluster's newest job ("" for the first fix), not from the number of jobs, which shrinks when a
    merge is undone.
    """
    return _id("start_fix", cluster_id, last_job_id)


def command_id_for(project_id: str, idempotency_key: str) -> str:
    """Return the id of a command requested with an idempotency key; the same request twice is one command."""
    return _id("asked", project_id, idempotency_key)


def job_id_for(command_id: str) -> str:
    """Return the id of the job started by a command."""
    return _id("job", command_id)


def plan_id_for(project_id: str, cluster_id: str, text: str) -> str:
    """Return the id of a plan of a cluster; `text` is what its document holds, author included."""
    return _id("plan", project_id, cluster_id, text)


def job_record_id(job_id: str) -> str:
    """Return the id under which a project remembers that it has known a job, whatever form the job's id has."""
    return _id("known job", job_id)


def approval_id(job_id: str) -> str:
    """Return the id of the command that approves a job; approving it twice is one command."""
    return _id("approval", job_id)


def pull_request_note_id(project_id: str, pull_request: str, news: str, since: str) -> str:
    """Return the id of the command that notes what is new about a pull request, whoever tells it."""
    return _id("pull request", project_id, pull_request.lower(), news, since)


def follow_up_command_id(project_id: str, repository: str, words_id: str) -> str:
    """Return the id of the command for the fix that a review or a comment asks for; `words_id` names it."""
    return _id("follow-up", project_id, repository.lower(), words_id)


def recorded_job_id(project_id: str, idempotency_key: str) -> str:
    """Return the id of a job recorded with an idempotency key; the same request twice is one job."""
    return _id("recorded job", project_id, idempotency_key)


def step_id_for(job_id: str, *content: str) -> str:
    """Return the id of a job step that brought none: it derives from the step's content."""
    return _id("step", job_id, *content)


def split_id_for(parent_id: str, first_item_id: str, cause: str) -> str:
    """Return the id of a cluster split off another; `cause` is the round or the command that split it."""
    return _id("split", parent_id, first_item_id, cause)


def theme_id_for(cluster_id: str, round_number: int) -> str:
    """Return the id of a theme that a round found, whose largest cluster is this."""
    return _id("theme", cluster_id, str(round_number))


def proposal_id_for(kind: str, cluster_ids: Sequence[str]) -> str:
    """Return the id of a proposal; proposing the same again gives the same id."""
    return _id("proposal", kind, *sorted(cluster_ids))


def command_record_id(command_id: str) -> str:
    """Return the id under which a finished command is recorded."""
    return _id("command", command_id)
