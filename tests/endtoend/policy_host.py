"""An HTTPS server for MTA-STS policies, by host name; what is wanted for a name may be a whole answer of any kind."""

from __future__ import annotations

import http.server
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Page:
    body: bytes
    status: int = 200
    kind: str = "text/plain"
    location: str = ""


class PolicyHost:
    """`pages` by host name without its port; `asked` are the names asked for, in order, and `given` what was posted."""

    def __init__(self, address: str, port: int, certificate: Path, key: Path, pages: dict[str, Page]) -> None:
        self.port = port
        self.asked: list[str] = []
        self.given: list[tuple[str, bytes]] = []
        given = self.given
        asked = self.asked

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host = (self.headers["Host"] or "").partition(":")[0]
                asked.append(host)
                page = pages.get(host, Page(b"", 404)) if self.path == "/.well-known/mta-sts.txt" else Page(b"", 404)
                self.send_response(page.status)
                self.send_header("Content-Type", page.kind)
                self.send_header("Content-Length", str(len(page.body)))
                if page.location:
                    self.send_header("Location", page.location)
                self.end_headers()
                self.wfile.write(page.body)

            def do_POST(self) -> None:
                given.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that does not believe us closes in the middle."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = Server((address, port), Answer)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def start(self) -> PolicyHost:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
