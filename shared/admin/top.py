"""`mercury top`: what happens now, once a second: the daemons, the lanes, who is connected, where mail goes.

It asks the daemons by their control sockets and the spool by names alone; a daemon that is down or says no is named
as such. Without a terminal, or with --once, it looks once and ends. Not here: the terminal (live.py).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from shared.admin.command import Office
from shared.admin.output import age, count_text, echo_json, octets
from shared.admin.spool import spool_of
from shared.mail.record import dataclass
from shared.mail.reply import printable
from shared.routing.lane import Lane
from shared.service.control_client import Unanswered, ask, socket_path
from shared.survey.census import take_census

DAEMONS = {"mercury-s": "MercuryS", "mercury-c": "MercuryC", "mercury-e": "MercuryE"}
_ANSWER_SECONDS = 3.0
_MOST_ROWS = 15


@dataclass(frozen=True, slots=True)
class View:
    """One look. `daemons` are what each says of itself, or why it does not; `sessions` have `daemon` added."""

    at: float
    daemons: dict[str, str]
    lanes: dict[str, dict[str, Any]]
    sessions: list[dict[str, Any]]
    refused: str = ""


@click.command()
@click.option(
    "--every", type=click.FloatRange(0.2, 3600), default=1.0, show_default=True, help="Seconds from look to look."
)
@click.option("--once", is_flag=True, help="Look once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each look.")
@click.pass_obj
def top(office: Office, every: float, once: bool, as_json: bool) -> None:
    """A live view; q or Ctrl-C ends it. The sessions are shown to root and to the group of the spool."""
    try:
        if as_json:
            while True:
                echo_json(asdict(look(office)))
                if once:
                    return
                sys.stdout.flush()
                time.sleep(every)
        elif once or not sys.stdout.isatty():
            click.echo("\n".join(lines(look(office))))
        else:
            from shared.admin.live import show  # 60 ms, only where it is shown

            show(lambda: lines(look(office)), every)
    except KeyboardInterrupt:
        pass


def look(office: Office) -> View:
    return asyncio.run(_look(office))


async def _look(office: Office) -> View:
    run, refused = office.config.run, ""
    daemons: dict[str, str] = {}
    sessions: list[dict[str, Any]] = []
    for name in DAEMONS:
        path = socket_path(run, name)
        try:
            [said] = [line async for line in ask(path, {"do": "status"}, _ANSWER_SECONDS)]
            daemons[name] = str(said["status"])
            sessions += [{"daemon": name} | line async for line in ask(path, {"do": "sessions"}, _ANSWER_SECONDS)]
        except Unanswered as trouble:
            refused = refused or ("" if trouble.is_down else str(trouble))
            daemons.setdefault(name, "does not run here" if trouble.is_down else str(trouble))
        except (KeyError, ValueError):
            daemons.setdefault(name, "gives an answer that is not understood")
    return View(time.time(), daemons, _lanes(office), sessions, refused)


def _lanes(office: Office) -> dict[str, dict[str, Any]]:
    return {lane.word: asdict(take_census(spool_of(office), lane, with_domains=False)) for lane in Lane}


# ---- as lines ----


def lines(view: View) -> list[str]:
    return [
        f"mercury top  {time.strftime('%H:%M:%S', time.localtime(view.at))}   q ends",
        "",
        *(printable(f"{DAEMONS[name]:<9} {text}") for name, text in view.daemons.items()),
        "",
        *(_lane_line(word, lane, view.at) for word, lane in view.lanes.items()),
        "",
        *_session_lines([one for one in view.sessions if "client" in one]),
        *_flight_lines(view.sessions),
        *([printable(f"Sessions are not shown: {view.refused}")] if view.refused else []),
    ]


def _lane_line(word: str, lane: dict[str, Any], now: float) -> str:
    if not lane["entries"] or lane["oldest"] is None:
        return f"{word:<9} empty"
    active, deferred = lane["active"], lane["deferred"]
    waits = f"{count_text(lane['entries'])}, {octets(lane['octets'])}: {active} active, {deferred} deferred"
    return f"{word:<9} {waits}, oldest {age(now - lane['oldest'])}"


def _session_lines(clients: Sequence[dict[str, Any]]) -> list[str]:
    rows = sorted(clients, key=lambda one: -float(one.get("age", 0)))
    told = [
        printable(f"  {one['client']:<39} {age(float(one['age'])):>7}  {one['state']:<12} {one['messages']} messages")
        for one in rows[:_MOST_ROWS]
    ]
    more = [f"  and {len(rows) - _MOST_ROWS} more"] if len(rows) > _MOST_ROWS else []
    head = "1 client is connected" if len(rows) == 1 else f"{len(rows)} clients are connected"
    return [head, *told, *more] if rows else ["No client is connected"]


def _flight_lines(sessions: Sequence[dict[str, Any]]) -> list[str]:
    hops = [one for one in sessions if "next_hop" in one]
    told = [
        printable(
            f"  {one['next_hop']:<39} {one.get('busy', 0)} busy, {one.get('idle', 0)} idle,"
            f" {one.get('waiting', 0)} wait"
        )
        for one in hops[:_MOST_ROWS]
    ]
    return ["", "Next hops", *told] if told else []
