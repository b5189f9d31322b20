"""`mercury demo`: sets the stage, starts everything, sends the letters, shows what becomes of them, clears away."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import smtplib
from contextlib import AsyncExitStack

import click
from rich.console import Console

from shared.admin.demo.authority import Authority
from shared.admin.demo.letters import PARTNER, STRANGER, Answer, send, the_letters
from shared.admin.demo.players import DAEMONS, Player, PlayerFailed, start_all, stop_all
from shared.admin.demo.progress import Progress
from shared.admin.demo.sink import Sink
from shared.admin.demo.stage import FAR, HERE, Stage, set_stage
from shared.admin.demo.view import View, choose_view, opening_words, words_to_try_by_hand

ONCE_SECONDS = 30.0
LOOK_SECONDS = 0.2


@click.command()
@click.option(
    "--once", is_flag=True, help="End when every letter has ended; exit 0 only if all ended as they should."
)
@click.option("--keep", is_flag=True, help="Leave the folder with mail, logs and configuration where it is.")
def demo(once: bool, keep: bool) -> None:
    """Send real mail through all three daemons on this machine, and watch it."""
    try:
        stage = set_stage()
    except OSError as error:
        raise click.ClickException(f"the stage could not be set: {error}")
    view = choose_view(Console())
    troubles: list[str] = []
    try:
        troubles = asyncio.run(play(stage, view, once))
    finally:
        view.close()
        is_kept = keep or bool(troubles)
        if not is_kept:
            stage.remove()
    for trouble in troubles:
        click.echo(f"WRONG: {trouble}", err=True)
    click.echo(f"The folder {stage.folder} " + ("is kept." if is_kept else "was removed (--keep leaves it)."))
    raise SystemExit(1 if troubles else 0)


async def play(stage: Stage, view: View, once: bool) -> list[str]:
    """The whole performance; what went wrong in it."""
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_stop.set)
    players = [Player(name, stage) for name in DAEMONS]
    troubles: list[str] = []
    view.say(opening_words(stage))
    async with AsyncExitStack() as scenery:
        try:
            await _build(stage, scenery)
            await start_all(players)
            troubles = await _perform(stage, view, once, asked_to_stop)
        except (PlayerFailed, OSError) as error:
            troubles = [str(error)]
        finally:
            troubles += await stop_all(players)
    return troubles


async def _build(stage: Stage, scenery: AsyncExitStack) -> None:
    """The name server and the two far ends, in this process."""
    authority = Authority({PARTNER: {"MX": [(10, f"mx.{PARTNER}")]}, f"mx.{PARTNER}": {"A": [FAR]}})
    await authority.listen(HERE, stage.ports.dns)
    scenery.callback(authority.close)
    smarthost = Sink("smarthost.example", stage.smarthost_mail)
    partner = Sink(f"mx.{PARTNER}", stage.partner_mail, strangers=frozenset({STRANGER}))
    for sink, address, port in ((smarthost, HERE, stage.ports.smarthost), (partner, FAR, stage.ports.mx)):
        await sink.listen(address, port)
        scenery.callback(sink.close)


async def _perform(stage: Stage, view: View, once: bool, asked_to_stop: asyncio.Event) -> list[str]:
    progress = Progress(stage, the_letters())
    sending = asyncio.create_task(_send_all(stage, progress))
    end = asyncio.get_running_loop().time() + ONCE_SECONDS
    is_told = False
    while not asked_to_stop.is_set():
        progress.look()
        view.show(progress)
        is_late = asyncio.get_running_loop().time() > end
        if sending.done() and (progress.is_over or is_late):
            if once:
                break
            if not is_told:
                is_told = True
                view.settle(progress)
                view.say(words_to_try_by_hand(stage) + "\nCtrl-C ends it.")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asked_to_stop.wait(), LOOK_SECONDS)
    sending.cancel()
    view.settle(progress)
    if asked_to_stop.is_set() and not once:
        return []
    return _verdict(progress)


async def _send_all(stage: Stage, progress: Progress) -> None:
    for course in list(progress.courses):
        assert course.letter
        try:
            answer = await asyncio.to_thread(send, course.letter, HERE, stage.ports.smtp)
        except (OSError, smtplib.SMTPException) as error:
            answer = Answer(421, f"the conversation broke off: {error}")
        progress.note_answer(course, answer)


def _verdict(progress: Progress) -> list[str]:
    """What did not end as it should."""
    troubles = []
    for course in progress.courses:
        if course.letter and course.trouble:
            troubles.append(f"{course.letter.title}: {course.trouble}")
        elif course.letter and not course.has_ended_well:
            troubles.append(
                f"{course.letter.title}: {course.queue_id or 'not sent'} is not {course.letter.ending.value} "
                f"(last event: {course.last_event or 'none'})"
            )
    return troubles
