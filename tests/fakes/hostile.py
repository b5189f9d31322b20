"""A server that misbehaves, as a process of its own; nothing of Mercury in it.

    python hostile.py --folder DIR --port 2600 --mode storm|talkative|injector|cut|sluggish|garbler

`storm`: the first connection is told 421. `talkative`: each reply is 8 KiB long. `injector`: behind the answer to
STARTTLS come lines that would count as said inside TLS. `cut`: the first message is answered with half a line, and the
connection is gone. `sluggish`: messages are read a little at a time. `garbler`: the first MAIL is answered with what is no
reply. What clients say is kept in DIR/said, messages in DIR/*.eml.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from pathlib import Path

_PADDING = "x" * 8000


class Hostile:
    def __init__(self, folder: Path, mode: str) -> None:
        self._folder, self._mode = folder, mode
        self._numbers = itertools.count()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._numbers)
        if self._mode == "storm" and number < 1:
            writer.write(b"421 4.3.2 a storm\r\n")
            writer.close()
            return
        self._say(writer, "220 far.example ESMTP")
        while line := await reader.readline():
            with (self._folder / "said").open("ab") as said:
                said.write(line)
            await self._answer(line.strip().upper(), reader, writer, number)
            if line.strip().upper() == b"QUIT":
                break
        writer.close()

    async def _answer(
        self, command: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        if command.startswith(b"EHLO"):
            offer = "250-STARTTLS\r\n" if self._mode == "injector" else ""
            writer.write(f"250-far.example\r\n{offer}250 SIZE 1000000\r\n".encode())
        elif command == b"STARTTLS":
            writer.write(b"220 go\r\n250-far.example\r\n250 AUTH PLAIN\r\n")
        elif command == b"DATA":
            self._say(writer, "354 go")
            content = await self._content(reader)
            if self._mode == "cut" and number < 1:
                writer.write(b"250 2.0")
                writer.close()
                return
            (self._folder / f"{number:06}.eml").write_bytes(content)
            self._say(writer, "250 2.0.0 taken")
        elif command.startswith(b"MAIL") and self._mode == "garbler" and number < 1:
            writer.write(b"2500 \x1b[2J fine\r\n")
        elif command == b"QUIT":
            self._say(writer, "221 bye")
        else:
            self._say(writer, "250 2.0.0 fine")

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        content = b""
        while not content.endswith(b"\r\n.\r\n"):
            content += await reader.read(4096 if self._mode == "sluggish" else 1 << 20)
            if self._mode == "sluggish":
                await asyncio.sleep(0.001)
        return content

    def _say(self, writer: asyncio.StreamWriter, reply: str) -> None:
        more = f" {_PADDING}" if self._mode == "talkative" else ""
        writer.write(f"{reply}{more}\r\n".encode())


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--mode", choices=["storm", "talkative", "injector", "cut", "sluggish", "garbler"], required=True
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    hostile = Hostile(arguments.folder, arguments.mode)
    server = await asyncio.start_server(hostile.serve, "127.0.0.1", arguments.port)
    (arguments.folder / "ready").touch()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
