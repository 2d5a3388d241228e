"""Commands of a project, each once: carried out, refused, or kept until what they name has come.

`ProjectClusters` calls `apply` for a new command and `retry` after each step; both call the handlers.
"""

from collections import defaultdict
from datetime import datetime

from soulcaster.domain.clustering.project.command_handlers import CommandContext, CommandHandlers, NotKnownYet
from soulcaster.domain.clustering.project.item_records import DONE
from soulcaster.domain.clustering.project.state import Name, ProjectState
from soulcaster.domain.clustering.project.steps import StepDraft
from soulcaster.domain.commands import ApproveFix, Command, Merge, Move, Split, StartFix
from soulcaster.domain.events import CommandDone, CommandOutcome
from soulcaster.domain.ids import command_record_id, id_bytes
from soulcaster.errors import BadInput

MAX_WAITING = 1_000
"""Commands of a project that may wait for something unknown."""

MAX_WAITING_IDS = 50_000
"""Ids that the commands of a project that wait may name together; one command may name 1,000."""


class CommandQueue:
    """Carries out commands, and says what became of each.

    A command that waits is tried again when the one name has come that it waits for, and not at every step: a
    thousand of them, with a thousand ids each, would make every step of the project take seconds.
    """

    def __init__(self, state: ProjectState, handlers: CommandHandlers) -> None:
        """Keep waiting commands in this state; those that it holds already are tried once to learn their names."""
        self._state = state
        self._handlers = handlers
        self._by_name: dict[Name, list[str]] = defaultdict(list)
        self._untried = list(state.waiting)
        self._ids = sum(map(_count_ids, state.waiting.values()))

    def is_known(self, command: Command) -> bool:
        """Return whether this command has come before."""
        state = self._state
        if command.id in state.waiting or command.id in state.requested:
            return True
        return state.is_done(command.id) or state.is_known(_refusal_id(command))

    def apply(self, command: Command, at: datetime, draft: StepDraft) -> None:
        """Carry out or refuse a new command, or keep it."""
        try:
            self._carry_out(command, at, draft)
        except NotKnownYet as unknown:
            draft.events.append(CommandDone(command.id, "waiting", str(unknown), at, command.type))
            ids = _count_ids(command)
            if len(self._state.waiting) >= MAX_WAITING or self._ids + ids > MAX_WAITING_IDS:
                self._answer(command, "refused", "too many commands wait for what is not known", at, draft)
            else:
                self._ids += ids
                self._state.waiting[command.id] = command
                self._by_name[unknown.name].append(command.id)
                self._state.store_command(command, draft)

    def retry(self, draft: StepDraft) -> bool:
        """Carry out waiting commands, in order, whose names have become known; return whether one was tried."""
        ready = {command_id for name in self._state.come for command_id in self._by_name.pop(name, ())}
        ready.update(self._untried)
        self._untried = []
        self._state.come.clear()
        for command in [one for one in self._state.waiting.values() if one.id in ready] if ready else []:
            try:
                self._carry_out(command, command.requested_at, draft)
            except NotKnownYet as unknown:
                self._by_name[unknown.name].append(command.id)
                continue
            del self._state.waiting[command.id]
            self._ids -= _count_ids(command)
            self._state.drop_command(command.id, draft)
        return bool(ready)

    def _carry_out(self, command: Command, at: datetime, draft: StepDraft) -> None:
        context = CommandContext(command, at, draft)
        try:
            done = self._handlers.handle(command, context)
        except BadInput as error:
            self._answer(command, "refused", str(error), at, draft)
            return
        if done is not None:
            self._answer(command, "applied", done, at, draft, tuple(dict.fromkeys(context.cluster_ids)))

    def _answer(
        self,
        command: Command,
        outcome: CommandOutcome,
        reason: str,
        at: datetime,
        draft: StepDraft,
        cluster_ids: tuple[str, ...] = (),
    ) -> None:
        draft.events.append(CommandDone(command.id, outcome, reason, at, command.type, cluster_ids))
        may_come_again = outcome == "refused" and isinstance(command, StartFix | ApproveFix)
        record_id = _refusal_id(command) if may_come_again else command_record_id(command.id)
        draft.remember(id_bytes(record_id), DONE)


def _count_ids(command: Command) -> int:
    """Return how many ids a command names, at least 1."""
    match command:
        case Merge():
            return 1 + len(command.cluster_ids)
        case Move() | Split():
            return 1 + len(command.item_ids)
        case _:
            return 1


def _refusal_id(command: Command) -> str:
    """Return the id under which a refused request for a fix is recorded: that of this one request.

    The id of its command follows from the cluster and its last job, so the next request has the same one. It may be
    possible by then, while a second delivery, or a replay of the topic, must stay refused.
    """
    return command_record_id(f"{command.id} of {command.requested_at.isoformat()}")
