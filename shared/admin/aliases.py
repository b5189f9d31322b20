"""`mercury alias list|check|show`: what the aliases file says, whether all of it leads somewhere, and what an address
comes to. Nothing is changed: the file is edited by hand, and read again at once.

The tables are MercuryS's own, in mercury_s/address_book.py, a process of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from shared.admin.command import NOTHING_MATCHED, SOME_FAILED, USAGE, Office, PrefixGroup
from shared.admin.neighbour import ADDRESS_BOOK, said_by
from shared.admin.output import echo_json, echo_table
from shared.admin.table import Shape
from shared.mail.reply import printable


@click.group(cls=PrefixGroup)
def alias() -> None:
    """Look at the aliases: what they say, and what an address comes to."""


@alias.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(office: Office, as_json: bool) -> None:
    """Every alias with its line, and where it leads in the end."""
    found = _asked(office, "list")
    if not found:
        click.echo("there are no aliases", err=True)
        sys.exit(NOTHING_MATCHED)
    if as_json:
        for one in found:
            echo_json(one)
    else:
        echo_table(
            ("ALIAS", "LINE", "SAYS", "LEADS TO"),
            [(one["alias"], str(one["line"]), ", ".join(one["targets"]), _ends(one)) for one in found],
            Shape(right=("LINE",), giving=("SAYS", "LEADS TO")),
        )


@alias.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def check(office: Office, as_json: bool) -> None:
    """Aliases that lead nowhere, and mistakes of the file. Exit code 1 when there is one."""
    found = _asked(office, "check")
    for one in found:
        if as_json:
            echo_json(one)
        else:
            click.echo(printable(f"{one['file']}: {one['problem']}"))
    if not found and not as_json:
        click.echo("every alias leads somewhere")
    sys.exit(SOME_FAILED if found else 0)


@alias.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDR...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def show(office: Office, addresses: Sequence[str], as_json: bool) -> None:
    """What ADDR comes to: mailboxes, addresses elsewhere, lists. Exit code 4 when one is nobody.

    A name without a domain is looked for in the first of local.domains.
    """
    found = _asked(office, "show", "--", *addresses)
    for one in found:
        if as_json:
            echo_json(one)
        else:
            ends = "" if one["is"] in ("elsewhere", "nobody") else f": {_ends(one)}"
            click.echo(printable(f"{one['address']}  {_KINDS[one['is']]}{ends}"))
    sys.exit(NOTHING_MATCHED if any(one["is"] == "nobody" for one in found) else 0)


_KINDS = {
    "alias": "is an alias for",
    "mailbox": "is",
    "list": "is",
    "elsewhere": "is not of this house; `mercury route` says where its mail goes",
    "nobody": "is nobody",
}


def _ends(one: Mapping[str, Any]) -> str:
    words = [f"the mailbox {each}" for each in one["mailboxes"]]
    words += [f"the list {each}" for each in one["lists"]]
    words += one["elsewhere"]
    words += [f"nowhere ({each})" for each in one["nowhere"]]
    return ", ".join(words) or "nobody"


def _asked(office: Office, *arguments: str) -> list[dict[str, Any]]:
    """Ends the command when the files cannot be used."""
    code, lines, complaint = said_by(ADDRESS_BOOK, office.path, arguments)
    if code:
        for line in complaint.splitlines():
            click.echo(printable(line), err=True)
        sys.exit(USAGE if code == USAGE else SOME_FAILED)
    return [json.loads(line) for line in lines]
