"""The index server: who is online, what they offer, and how to reach them.

Start at `commands.py` (everything a client can ask), then the room `search` (the catalogue) and
`manifests.py` (what people offer, durable first). `server.py` puts the parts together. Of clients this room
knows only what the protocol says.

For whoever runs one: the rooms `admin` (commands for the running server, backups), `web` (a status page),
the folder `deploy`, and README.md, the guide for operators.
"""
