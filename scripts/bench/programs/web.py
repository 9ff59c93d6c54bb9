"""nginx as the server, over https or http; curl and aria2 as those who fetch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.programs.processes import cpu_s, free_port, run_to_end, running, until_listening
from scripts.bench.programs.program import Group, Place, Program, Run, Tool, Transfer

NGINX = Tool("nginx", ("nginx", "-v"))
CURL = Tool("curl", ("curl", "--version"))
ARIA2 = Tool("aria2", ("aria2c", "--version"))
OPENSSL = Tool("openssl", ("openssl", "version"))
CONFIG = """
daemon off; worker_processes 1; {user} pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ {listen} root {root}; {tls} }}
}}
"""
TLS = "ssl_protocols TLSv1.3; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"


@dataclass(frozen=True)
class Server:
    """A running nginx."""

    pid: int
    urls: tuple[str, ...]  # of the file, one for each source


@contextmanager
def nginx(place: Place, *, https: bool, sources: int = 1, host: str = "127.0.0.1") -> Iterator[Server]:
    """Serves the file on as many ports as there are sources."""
    folder, log = place.sub("nginx"), place.folder / "nginx.log"
    ports = [free_port() for _ in range(sources)]
    tls = ""
    if https:
        certificate = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=localhost"]
        request = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2"]
        run_to_end([*request, *certificate], log)
        tls = TLS.format(folder=folder)
    listen = " ".join(f"listen {host}:{port}{' ssl' if https else ''};" for port in ports)
    user = "user root;" if os.geteuid() == 0 else ""  # the folder is for its owner only
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(user=user, folder=folder, listen=listen, root=place.shared, tls=tls))
    with running(["nginx", "-c", config, "-p", folder], log) as process:
        for port in ports:
            until_listening(host, port)
        scheme = "https" if https else "http"
        urls = tuple(f"{scheme}://{host}:{port}/{place.source.name}" for port in ports)
        yield Server(process.pid, urls)


@contextmanager
def curl(place: Place) -> Iterator[Transfer]:
    """Timed by curl itself, from the connection to the last byte."""
    with nginx(place, https=True) as server:
        target = place.folder / "arrived"
        command = ["curl", "-fsk", "--tlsv1.3", "-o", target, "-w", "%{time_total}", *server.urls]

        def transfer() -> Run:
            before = cpu_s(server.pid)
            ended = run_to_end(command, place.folder / "curl.log")
            sender = cpu_s(server.pid) - before
            place.take(target)
            return Run(float(ended.output), sender, ended.cpu_s)

        yield transfer


def aria2(*, https: bool, sources: int) -> Callable[[Place], AbstractContextManager[Transfer]]:
    """Timed from the start of the command to its end; it preallocates nothing."""

    @contextmanager
    def start(place: Place) -> Iterator[Transfer]:
        with nginx(place, https=https, sources=sources) as server:
            target = place.folder / "arrived"

            def transfer() -> Run:
                before = cpu_s(server.pid)
                ended = run_to_end(_aria2(target, server.urls), place.folder / "aria2.log")
                sender = cpu_s(server.pid) - before
                place.take(target)
                return Run(ended.seconds, sender, ended.cpu_s)

            yield transfer

    return start


def _aria2(target: Path, urls: tuple[str, ...]) -> list[str]:
    return [
        *("aria2c", "--no-conf", "--quiet", "--check-certificate=false", "--file-allocation=none"),
        *("--allow-overwrite=true", "--min-split-size=1M", "--max-connection-per-server=1"),
        *(f"--split={len(urls)}", f"--dir={target.parent}", f"--out={target.name}", *urls),
    ]


PROGRAMS = (
    Program(
        "curl from nginx, https",
        Group.ENCRYPTED,
        (NGINX, CURL, OPENSSL),
        "apt install nginx-light curl openssl",
        curl,
    ),
    *(
        Program(
            f"aria2 from nginx, http{'s' * https}, {sources} source{'s' * (sources > 1)}",
            Group.ENCRYPTED if https else Group.PLAIN,
            (NGINX, ARIA2, OPENSSL),
            "apt install nginx-light aria2 openssl",
            aria2(https=https, sources=sources),
        )
        for https in (True, False)
        for sources in (1, 4)
    ),
)
