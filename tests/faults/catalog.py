"""All faults, by number."""

from collections.abc import Mapping

from tests.faults.client_faults import ClientsKilled
from tests.faults.clock_fault import ClocksWrong
from tests.faults.embedder_faults import EmbedderHangs, EmbedderLimits, EmbedderTalksNonsense
from tests.faults.fault import Fault
from tests.faults.message_faults import DeliveredAgain, Mixed, Poisoned
from tests.faults.network_fault import NetworkCut
from tests.faults.process_faults import WorkerKilled, WorkersComeAndGo, WorkerSuspended, WorkerTold
from tests.faults.record_faults import AwayTooLong, ChangelogDeleted
from tests.faults.system_faults import BrokerAway, BrokerRestarted, DiskFull, RedisAway, RedisFlushed

_ALL: tuple[type[Fault], ...] = (
    WorkerKilled, ClientsKilled, WorkerTold, WorkersComeAndGo, DeliveredAgain, WorkerSuspended, BrokerRestarted,
    BrokerAway, RedisAway, RedisFlushed, Poisoned, EmbedderLimits, EmbedderHangs, EmbedderTalksNonsense, DiskFull,
    ChangelogDeleted, ClocksWrong, AwayTooLong, Mixed, NetworkCut,
)  # fmt: skip

FAULTS: Mapping[int, type[Fault]] = {fault.number: fault for fault in _ALL}
