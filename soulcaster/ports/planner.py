"""What writes plans."""

from typing import Protocol

from soulcaster.domain.fixes.plan import PlannedFix

MAX_SECONDS = 14.0
"""`Planner.plan` ends within this time."""


class Planner(Protocol):
    """Writes the plan of a fix from its brief."""

    @property
    def name(self) -> str:
        """Name of the model, as the author of its plans."""

    async def plan(self, brief: str) -> PlannedFix:
        """Return a plan, as the model wrote it: nothing in it is checked yet.

        Raises:
            PlannerUnavailable: it does not answer in time; a later call may succeed.
            PlannerRefuses: it refuses the request, or writes no plan about this brief.
        """
