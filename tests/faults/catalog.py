"""All faults, by number."""

from collections.abc import Mapping

from tests.faults.fault import Fault
from tests.faults.process_faults import WorkerKilled, WorkersComeAndGo, WorkerSuspended, WorkerTold

FAULTS: Mapping[int, type[Fault]] = {
    fault.number: fault for fault in (WorkerKilled, WorkerTold, WorkersComeAndGo, WorkerSuspended)
}
