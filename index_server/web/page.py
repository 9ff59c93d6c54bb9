"""Draws the status page: plain HTML with one style, no script, nothing from anywhere else.

The browser asks for it again by itself. The head allows this one style by its hash and nothing more.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

from index_server.admin.standing import FilterView, RequestsView, StandingView

REFRESH_S = 5
WIDTH, HEIGHT = 300, 44  # of a curve, in its own units

STYLE = resources.files("index_server.web").joinpath("style.css").read_text(encoding="utf-8")
STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def page(view: StandingView) -> str:
    """The whole page."""
    name = escape(view.name)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{REFRESH_S}">
<title>{name}: {view.online:,} online</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header><h1>{name}</h1>{_pill(view)}</header>
{_problems(view.problems)}
<div class="grid">
{_tile("Online now", f"{view.online:,}", f"of {view.accounts:,} accounts", view.online_history)}
{_tile("Searches a second", _rate(view.searches_per_second), "within the last minute", view.search_history)}
{_tile("Half of all searches within", _time(view.search_p50_ms), _nearly_all(view.search_p99_ms))}
{_tile("Files", f"{view.files:,}", "different ones, online or not")}
</div>
<div class="grid two">
<div>
<section class="card"><h2>What is asked</h2>{_requests(view.requests)}</section>
<section class="card"><h2>What is filtered, and why</h2>{_filters(view.filters)}</section>
</div>
<div>
<section class="card"><h2>What there is</h2>{_kinds(view.kinds)}</section>
<section class="card"><h2>How the server is</h2>{_health(view)}</section>
</div>
</div>
<footer class="quiet small">{escape(view.version)}, up {_span(view.up_s)}. The curves show the last half hour.
This page renews itself every {REFRESH_S} seconds. It counts; it never knows who.</footer>
</main>
</body>
</html>
"""


def _pill(view: StandingView) -> str:
    if not view.problems:
        return '<span class="pill well">All is well</span>'
    count = len(view.problems)
    return f'<span class="pill ill">{count} problem{"s" if count > 1 else ""}</span>'


def _problems(problems: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<ul class="ill">{items}</ul>' if items else ""


def _tile(title: str, figure: str, below: str, history: Sequence[float] | None = None) -> str:
    curve = "" if history is None else _curve(history)
    return (
        f'<div class="card"><h2>{title}</h2><div class="figure">{figure}</div>'
        f'<div class="quiet small">{escape(below)}</div>{curve}</div>'
    )


def _curve(values: Sequence[float]) -> str:
    """From the oldest value to the newest, as high as the highest."""
    if len(values) < 2:
        return '<svg aria-hidden="true"></svg>'
    top, step = max(*values, 1e-9), WIDTH / (len(values) - 1)
    line = " ".join(
        f"{number * step:.1f},{HEIGHT - 2 - (HEIGHT - 4) * value / top:.1f}"
        for number, value in enumerate(values)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon class="area" points="0,{HEIGHT} {line} {WIDTH},{HEIGHT}"/>'
        f'<polyline class="curve" points="{line}"/></svg>'
    )


def _requests(requests: Iterable[RequestsView]) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.kind.replace('_', ' '))}</td><td>{_rate(one.per_second)}</td>"
        f"<td>{_text_time(one.p50_ms)}</td><td>{_text_time(one.p99_ms)}</td>"
        f"<td>{one.total:,}</td><td>{one.refused:,}</td></tr>"
        for one in requests
    )
    if not rows:
        return '<p class="quiet">Nobody has asked for anything yet.</p>'
    return (
        "<table><tr><th></th><th>a second</th><th>half within</th><th>99 % within</th><th>so far</th>"
        f"<th>refused</th></tr>{rows}</table>"
    )


def _kinds(kinds: dict[str, int]) -> str:
    found = sorted(((count, kind) for kind, count in kinds.items() if count), reverse=True)
    if not found:
        return '<p class="quiet">Nobody has offered anything yet.</p>'
    most = found[0][0]
    rows = "".join(
        f'<dt>{escape(kind)}</dt><dd><progress max="{most}" value="{count}"></progress></dd>'
        f"<dd>{count:,}</dd>"
        for count, kind in found
    )
    return f"<dl>{rows}</dl>"


def _filters(filters: Iterable[FilterView]) -> str:
    items = "".join(
        f"<li>{escape(one.what)}: {one.count:,}"
        + (f' <span class="quiet">({escape(one.why)})</span>' if one.why else "")
        + "</li>"
        for one in filters
    )
    return f"<ul>{items}</ul>" if items else '<div class="quiet">Nothing.</div>'


def _health(view: StandingView) -> str:
    facts = [
        f"Registration is {escape(view.registration)}",
        f"{view.online:,} of {view.connections_max:,} connections used",
        f"{view.memory_bytes / 1e6:,.0f} MB of memory" if view.memory_bytes else "",
        f"longest wait for the processor {_text_time(view.late_s * 1_000)}",
    ]
    return "<ul>" + "".join(f"<li>{fact}</li>" for fact in facts if fact) + "</ul>"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.1f}"


def _time(milliseconds: float) -> str:
    number, _, unit = _text_time(milliseconds).partition(" ")
    return f"{number} <small>{unit}</small>"


def _nearly_all(milliseconds: float) -> str:
    return f"99 of 100 within {_text_time(milliseconds)}" if milliseconds else "nobody searches just now"


def _text_time(milliseconds: float) -> str:
    if milliseconds >= 1_000:
        return f"{milliseconds / 1_000:.1f} s"
    if milliseconds >= 10:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds:.2f} ms" if milliseconds else "-"


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, hours = minutes // 1_440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
