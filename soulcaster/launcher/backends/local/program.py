"""The program of a launch, with its limits."""

from soulcaster.isolation.program import Program, kernel_limits
from soulcaster.launcher.backends.local.folder import JobFolder
from soulcaster.launcher.backends.local.order import MB, Order


def program_of(order: Order, folder: JobFolder) -> Program:
    """Return the program, not started."""
    limits = order.limits
    kept = kernel_limits(
        memory=limits.memory_mb * MB,
        disk=limits.disk_mb * MB,
        threads=limits.threads if order.isolation else None,
    )
    return Program(order.isolation, order.command, order.environment, folder.home, kept)
