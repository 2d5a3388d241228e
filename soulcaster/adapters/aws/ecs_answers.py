"""What Amazon ECS answers, as our tasks and errors.

Source: docs.aws.amazon.com/AmazonECS/latest: API_Task and API_RunTask, "Task lifecycle", "API failure reasons",
"Stopped tasks error messages".
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  (botocore's own)
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
)

from soulcaster.errors import EcsRefuses, EcsUnavailable
from soulcaster.ports.launch_backend import Task, TaskState

_STARTING = {"PROVISIONING", "PENDING", "ACTIVATING"}

_ENDED = {"DEPROVISIONING", "STOPPED", "DELETED"}
"""Every container has stopped. In the states before (DEACTIVATING, STOPPING) the program may still run."""

_BUSY = {
    "RequestLimitExceeded",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServerException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}

_UNANSWERED = (
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    OSError,  # TimeoutError is one
)

FAILURES = (ClientError, BotoCoreError, OSError, ValueError)
"""What botocore raises; a ValueError is an endpoint that is not an address."""

_CREDENTIALS = "Check the launcher's AWS credentials."
_SETTINGS = "Check ECS_TASK_DEFINITION, ECS_SUBNET_IDS, ECS_SECURITY_GROUP_IDS and ECS_LAUNCH_TYPE."
_CHECKS = {
    "AccessDeniedException": "Check the IAM policy of the launcher: docs/launching.md lists the actions it needs.",
    "ClientException": _SETTINGS,
    "ClusterNotFoundException": "Check ECS_CLUSTER_NAME and the AWS region.",
    "ConflictException": "It started a task of this launch with other settings, and does not know that task any more.",
    "ExpiredTokenException": _CREDENTIALS,
    "IncompleteSignature": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
    "InvalidParameterException": _SETTINGS,
    "InvalidSignatureException": f"{_CREDENTIALS[:-1]} and its clock.",
    "MissingAuthenticationTokenException": _CREDENTIALS,
    "PlatformTaskDefinitionIncompatibilityException": _SETTINGS,
    "UnrecognizedClientException": _CREDENTIALS,
}


def task_of(described: Mapping[str, Any]) -> Task:
    """Return a task as ECS describes it. ECS keeps no output: it is in the logs that the task definition names."""
    state = _state(described)
    return Task(described["taskArn"], state, _why(described) if state == "ended" else "")


def _state(described: Mapping[str, Any]) -> TaskState:
    status = described.get("lastStatus", "")
    containers = described.get("containers") or ()
    if status in _ENDED or (containers and all(each.get("lastStatus") == "STOPPED" for each in containers)):
        return "ended"
    return "starting" if status in _STARTING else "running"


def _why(described: Mapping[str, Any]) -> str:
    """Return why a task ended: ECS's reason and code, then exit code and reason of each container."""
    reason, code = described.get("stoppedReason", ""), described.get("stopCode", "")
    parts = [f"{reason} ({code})" if reason and code else reason or code]
    for container in described.get("containers") or ():
        exit_code = container.get("exitCode")
        words = ["" if exit_code is None else f"exit code {exit_code}", container.get("reason", "")]
        if any(words):
            parts.append(f"{container.get('name', 'container')}: {', '.join(filter(None, words))}")
    return "; ".join(filter(None, parts))


def not_placed(failures: Sequence[Mapping[str, str]]) -> EcsUnavailable:
    """Return the error for an answer of RunTask with status 200 and no task."""
    if not failures:
        return EcsUnavailable("Amazon ECS answered RunTask with neither a task nor a failure.")
    words = "; ".join(
        " ".join(failure[name] for name in ("reason", "detail", "arn") if failure.get(name)) for failure in failures
    )
    return EcsRefuses(f"Amazon ECS did not start the task: {words}.")


def failure(operation: str, error: Exception) -> EcsUnavailable:
    """Return the error for a call that botocore ended with an exception, after its own tries."""
    if isinstance(error, ClientError):
        return _answered(operation, error)
    if isinstance(error, _UNANSWERED):
        return EcsUnavailable(f"Amazon ECS does not answer {operation} ({error!r}).")
    return EcsRefuses(f"{operation} cannot be sent to Amazon ECS: {error}; check AWS credentials, region and endpoint.")


def _answered(operation: str, error: ClientError) -> EcsUnavailable:
    answer: Mapping[str, Any] = error.response
    code, words = answer["Error"].get("Code", ""), _short(answer["Error"].get("Message", ""))
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    if code in _BUSY or status == 429 or status >= 500:
        return EcsUnavailable(f"Amazon ECS cannot do {operation} now: {words} ({code}).")
    said = f"Amazon ECS refuses {operation}: {words} ({code})."
    tasks = tuple(answer.get("resourceIds", ()))  # of a ConflictException
    return EcsRefuses(" ".join(filter(None, (said, _CHECKS.get(code, "")))), code=code, tasks=tasks)


def _short(words: str) -> str:
    """Return the vendor's words on one line; what stands between us and AWS may answer with a page of HTML."""
    return textwrap.shorten(words, 500, placeholder=" ...")
