"""The manual of the `mercury` command as Markdown, written from the commands themselves. Pure but for their loading.

`make reference` puts it into docs/man/mercury.1.md, and `make docs` makes the man page mercury(1) of that.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from shared.admin.command import EXIT_CODES, mercury

_HEAD = """---
orphan: true
---

# mercury

The command for everything a person does with the Mercury mail suite; see mercury(7). It works with the daemons up or
down. Nouns and verbs may be shortened as long as only one is meant: `mercury q l` is `mercury queue list`. With
`--json` each line is one object, and names are only ever added. Colours are for terminals only, and never with
`NO_COLOR`.

"""


def manual() -> str:
    """Every noun and verb with its options."""
    text = _HEAD + "## Exit codes\n\n"
    text += "".join(f"`{code}`\n: {meaning}\n\n" for code, meaning in EXIT_CODES.items())
    with click.Context(mercury, info_name="mercury") as context:
        text += "".join(_told(mercury, context))
    return text


def _told(command: click.Command, context: click.Context) -> Iterator[str]:
    level = "##" if context.parent is None or context.parent.parent is None else "###"
    yield f"{level} {context.command_path}\n\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"`{context.command_path} {usage}`\n\n"
    if command.help:
        yield f"{_plain(inspect.cleandoc(command.help))}\n\n"
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield f"`{record[0]}`\n: {_plain(record[1]) or 'See above.'}\n\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                with click.Context(below, info_name=name, parent=context) as inner:
                    yield from _told(below, inner)


def _plain(text: str) -> str:
    """Without what Markdown would take for markup of its own."""
    return text.replace("\b", "").replace("<", "\\<").replace("$", "\\$").replace("*", "\\*").strip()
