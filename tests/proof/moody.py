"""A smarthost of moods, as a process of its own: each way to say later, and each place to fall silent.

    python moody.py --folder DIR --port 2600

The mood is the content of DIR/mood, looked at with each connection; messages that it takes are DIR/*.eml, connections are counted in
DIR/connections. Not here: anything of Mercury.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import socket
from pathlib import Path

#  Where it falls silent ("hole at"), or what it says there ("421 at").
PLACES = ("banner", "EHLO", "MAIL", "RCPT", "DATA", "dot")


class Moody:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        (self._folder / "connections").write_text(str(self._connections))
        act, _, place = (self._folder / "mood").read_text().strip().partition(" at ")
        try:
            await self._talk(reader, writer, act, place)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: str, place: str) -> None:
        async def answer(where: str, usual: str) -> bool:
            """False: the conversation is over."""
            if where != place:
                writer.write(usual.encode() + b"\r\n")
                return True
            if act == "hole":
                await asyncio.sleep(3600)
            if act == "drop":
                writer.transport.abort()
                return False
            writer.write(f"{act} 4.3.0 not now\r\n".encode())
            return act != "421"

        if not await answer("banner", "220 moody.example ESMTP"):
            return
        while line := await reader.readline():
            verb = line[:4].decode().upper()
            if verb == "DATA":
                if not await answer("DATA", "354 go"):
                    return
                if place == "DATA":
                    continue
                if act == "slow reader":
                    await asyncio.sleep(3600)
                content = await reader.readuntil(b"\r\n.\r\n")
                if place != "dot":
                    (self._folder / f"{next(self._numbers):06}.eml").write_bytes(content.removesuffix(b".\r\n"))
                if not await answer("dot", "250 2.0.0 kept"):
                    return
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            elif not await answer({"EHLO": "EHLO", "HELO": "EHLO"}.get(verb, verb), "250 fine"):
                return


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", given.port), backlog=512)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server = await asyncio.start_server(Moody(given.folder).serve, sock=listener, limit=1 << 26)
    (given.folder / "ready").touch()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
