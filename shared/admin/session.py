"""`mercury session --from IP`: a dry SMTP dialogue with the rules in force, on the terminal.

The session itself is mercury_s/rehearsal.py, in a process of its own.
"""

from __future__ import annotations

import ipaddress
import sys

import click

from shared.admin.command import Office
from shared.admin.neighbour import REHEARSAL, run_through


class IpAddress(click.ParamType[str]):
    name = "IP"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(ipaddress.ip_address(str(value)))
        except ValueError:
            self.fail(f"{value} is no IP address", param, ctx)


@click.command()
@click.option("--from", "client", type=IpAddress(), required=True, help="The client's address, as its rules see it.")
@click.option("--port", type=int, default=0, help="Of the listener. Default: the first of the configuration.")
@click.option("--tls", is_flag=True, help="As if TLS had begun.")
@click.option("--login", default="", metavar="ACCOUNT", help="As if this account had logged in.")
@click.pass_obj
def session(office: Office, client: str, port: int, tls: bool, login: str) -> None:
    """Speak SMTP as a client would, and see what the rules in force answer, and why. Nothing is deposited.

    Commands come from the terminal or standard input; lines with # say why. Nothing counts against the client.
    """
    arguments = ["--from", client, "--port", str(port), "--login", login, *(["--tls"] if tls else [])]
    sys.exit(run_through(REHEARSAL, office.path, arguments))
