"""Connections that last: to the index servers that are used, and to people, whoever of the two dialled.

Knows who is at the other end and how they came in, not what is said about files.
Start reading at `servers.py`.
"""
