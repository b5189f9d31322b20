"""A smarthost inside the machine: takes mail from whoever knows the password, and writes its octets to a folder.

`smarthost.py PORT FOLDER PASSWORD`
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

#  Names that are new after a restart, too.
NUMBERS = itertools.count(time.time_ns())


class Keep:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        number = next(NUMBERS)
        part = self.folder / f".{number}"
        part.write_bytes(bytes(envelope.content or b""))
        part.rename(self.folder / str(number))
        return "250 kept"


async def main(port: int, folder: Path, password: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("/etc/smarthost.pem")

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and data.password == password.encode()
        return AuthResult(success=is_right, handled=False)

    def make() -> SMTP:
        return SMTP(
            Keep(folder), authenticator=login, auth_required=True, tls_context=context, hostname="isp.example"
        )

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    Path(sys.argv[2]).mkdir(exist_ok=True)
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
