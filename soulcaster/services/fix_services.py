"""The services around fixes, put together for every process that orders them."""

from dataclasses import dataclass

from soulcaster.ports.clock import Clock
from soulcaster.ports.messaging import Publisher
from soulcaster.ports.planner import Planner
from soulcaster.ports.read_model import ReadModel
from soulcaster.ports.repositories import Repositories
from soulcaster.services.briefs import Briefs
from soulcaster.services.cluster_commands import ClusterCommands
from soulcaster.services.fixes import FixDefaults, Fixes
from soulcaster.services.person_tokens import PersonTokens
from soulcaster.services.plans import Plans


@dataclass(frozen=True, slots=True)
class FixServices:
    """Commands on clusters, briefs, plans and fixes, over the same systems."""

    commands: ClusterCommands
    briefs: Briefs
    plans: Plans
    fixes: Fixes


def fix_services(
    read_model: ReadModel,
    publisher: Publisher,
    repositories: Repositories,
    planner: Planner | None,
    person_tokens: PersonTokens | None,
    defaults: FixDefaults,
    clock: Clock,
) -> FixServices:
    """Return the services over these systems.

    `planner` is None where no model writes plans, `person_tokens` where requests bring no token.
    """
    commands = ClusterCommands(publisher, read_model.commands)
    briefs = Briefs(publisher, read_model.clusters, read_model.feedback, read_model.documents, read_model.jobs, clock)
    plans = Plans(publisher, read_model.clusters, read_model.documents, briefs, planner, clock)
    fixes = Fixes(
        commands,
        read_model.clusters,
        read_model.jobs,
        read_model.project_config,
        briefs,
        plans,
        repositories,
        person_tokens,
        defaults,
        clock,
    )
    return FixServices(commands, briefs, plans, fixes)
