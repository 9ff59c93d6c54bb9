"""Files over HTTP on this machine, so that a browser, mpv or VLC plays them while they arrive.

Start reading at `theatre.py`: what is played, and under which address. `door.py` lets players in, `talk.py`
speaks HTTP with one, `answers.py` and `byte_ranges.py` decide what to say (pure), `showing.py` waits for the
verified bytes, and `window.py` says which pieces are needed first (pure).

HTTP itself is left to h11: sans-IO like our own session, it runs on trio streams as they are. A web framework
would bring its own tasks, limits and file answers, and none that waits for bytes which are still to come.
"""
