"""The HTTP side: a status page for people, figures for Prometheus, health checks. It tells numbers only.

Start at `app.py` (what there is), then `page.py` (how the page is drawn). It stands on hypercorn and
starlette: hypercorn is the one HTTP server of Python that is kept up and runs in the trio loop of the rest.
"""
