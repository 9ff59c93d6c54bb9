"""trio lives here: a `Channel` over one byte stream, dialling, serving, and finding others on the local
network.

This room carries out what `session` decides. It knows no file, no account and no window.
"""
