"""What the papers say is true: protocol.md agrees with the code, and the README's bot runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import trio

from index_server.config import load_config
from index_server.server import open_server
from p2pshare import Address, Endpoint, Identity, Invite, format_link
from p2pshare.wire.fields import Role

ROOT = Path(__file__).resolve().parents[2]


def test_protocol_md_says_what_the_code_declares() -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/spec.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


async def test_the_bot_of_the_readme_logs_in_and_searches(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- bot -->\n```python\n(.*?)```\n<!-- end -->", readme, re.DOTALL)
    assert found is not None
    (tmp_path / "bot.py").write_text(found[1], encoding="utf-8")
    assert found[1].count("\n") <= 25
    config = load_config(None, {}, {"server.hosts": "127.0.0.1", "server.port": "0"})
    endpoint = Endpoint.create(Identity.from_seed(b"i" * 32), Role.INDEX)
    async with open_server(config, endpoint, ":memory:") as server:
        invite = Invite(endpoint.node, (Address("127.0.0.1", server.port),), "")
        ran = await trio.run_process(
            [sys.executable, str(tmp_path / "bot.py"), format_link(invite), "nothing"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={"PYTHONPATH": str(ROOT)},
        )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
