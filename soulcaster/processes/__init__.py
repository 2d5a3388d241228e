"""The processes: one file each, the only places that wire ports to adapters."""
