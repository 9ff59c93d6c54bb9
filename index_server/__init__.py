"""The index server: who is online, what they offer, and how to reach them.

Start at `commands.py` (everything a client can ask), then `catalogue.py` (search) and `manifests.py` (what
people offer, durable first). `server.py` puts the parts together. Of clients this room knows only what the
protocol says.
"""
