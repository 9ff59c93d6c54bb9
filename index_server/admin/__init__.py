"""The operator's room: what the person who runs a server sees, says and decides.

Start at `office.py`: every method there is a command, `p2pshare-index admin ...` (commands.py), carried out
by the running server for another process of the same user. What is decided is kept by `registration.py` and
`bulletin.py`; `record.py` tells and erases what is kept of one person; `backup.py` needs no running server.
"""
