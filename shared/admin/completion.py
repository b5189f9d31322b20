"""`mercury completion SHELL`: the script that lets a shell complete nouns, verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from shared.admin.command import mercury


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Completion for bash, zsh or fish.

    For bash: `mercury completion bash > /etc/bash_completion.d/mercury`; for fish into
    ~/.config/fish/completions/mercury.fish; for zsh into a file _mercury of $fpath.
    """
    found = get_completion_class(shell)
    assert found is not None, shell
    script = found(mercury, {}, "mercury", "_MERCURY_COMPLETE").source()
    #  In zsh a function is loaded once: by that test the second Tab of a session would register it and offer nothing.
    click.echo(script.replace("$zsh_eval_context[-1] == loadautofunc", "$funcstack[1] == _mercury"))
