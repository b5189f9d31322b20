"""Clients inside the machine: several send one message after another until told to stop, each on a connection of its own.

`customers.py PORT RECIPIENT COUNT`; at the end of standard input they stop, and what became of it all is said as JSON:
`acknowledged` (tokens of messages with a 250), `refused` (connections that were), `broken` (sessions cut short).
"""

from __future__ import annotations

import json
import socket
import sys
import threading


class Customer(threading.Thread):
    def __init__(self, number: int, port: int, recipient: str, over: threading.Event) -> None:
        super().__init__()
        self.number, self.port, self.recipient, self.over = number, port, recipient, over
        self.acknowledged: list[str] = []
        self.refused = self.broken = 0

    def run(self) -> None:
        count = 0
        while not self.over.wait(0.1):
            count += 1
            token = f"token-{self.port}-{self.number}-{count}-end"
            try:
                sock = socket.create_connection(("127.0.0.1", self.port), 60)
            except OSError:
                self.refused += 1
                continue
            try:
                with sock, sock.makefile("rwb") as lines:
                    self.send(lines, token)
                self.acknowledged.append(token)
            except (OSError, EOFError):
                self.broken += 1

    def send(self, lines: object, token: str) -> None:
        said = ("EHLO c.example", "MAIL FROM:<c@c.example>", f"RCPT TO:<{self.recipient}>", "DATA")
        self.hear(lines, "220")
        for word, answer in zip(said, ("250", "250", "250", "354"), strict=True):
            lines.write(word.encode() + b"\r\n")  # type: ignore[attr-defined]
            lines.flush()  # type: ignore[attr-defined]
            self.hear(lines, answer)
        lines.write(f"Subject: {token}\r\n\r\nhello\r\n.\r\n".encode())  # type: ignore[attr-defined]
        lines.flush()  # type: ignore[attr-defined]
        self.hear(lines, "250")

    def hear(self, lines: object, wanted: str) -> None:
        while True:
            line: bytes = lines.readline()  # type: ignore[attr-defined]
            if line[:3] != wanted.encode():
                raise EOFError(line)
            if line[3:4] != b"-":
                return


def main(port: int, recipient: str, count: int) -> None:
    over = threading.Event()
    customers = [Customer(number, port, recipient, over) for number in range(count)]
    for customer in customers:
        customer.start()
    sys.stdin.read()
    over.set()
    for customer in customers:
        customer.join()
    tokens = [token for customer in customers for token in customer.acknowledged]
    refused = sum(customer.refused for customer in customers)
    broken = sum(customer.broken for customer in customers)
    print(json.dumps({"acknowledged": tokens, "refused": refused, "broken": broken}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
