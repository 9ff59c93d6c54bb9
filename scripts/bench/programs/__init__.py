"""The programs that are compared, one module each: how to start it, one timed transfer, what it cost."""
