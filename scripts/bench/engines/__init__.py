"""Search engines beside ours, each used as a library by a process of its own: see search_engines.py.

Begin with engine.py, which says what each of them does; worker.py is the process.
"""
