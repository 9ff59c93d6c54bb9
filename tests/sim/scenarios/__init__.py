"""What people do and what befalls them, told once for every world. Importing this package tells them all."""

from tests.sim.scenarios import chaos, fetching, keeping, servers, sources, waiting

__all__ = ["chaos", "fetching", "keeping", "servers", "sources", "waiting"]
