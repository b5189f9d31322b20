"""The smarthosts of a site, and the hosts that routes name: how they are, what they take, how long the budget lasts.

Read from the configuration and from the book of next hops that MercuryC keeps. Values for programs and lines for
people; which site, and what is in force there, is site.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shared.admin.output import age, octets
from shared.config.model import Config
from shared.config.routing import routing_table
from shared.routing.budget import Account, Meter, words_of_span
from shared.routing.hours import opens_in
from shared.routing.next_hop import NextHop
from shared.state.hop_book import HopPage, read_book


def smarthost_facts(config: Config, site: str, now: float) -> list[dict[str, Any]]:
    """In the order in which they are tried; routes' hosts behind them, at the site that this host is in. Raises
    OSError when the book cannot be read."""
    table, pages = routing_table(config), read_book(config.state)
    hops = [(hop, "") for hop in table.sites[site].smarthosts]
    if site == config.site:
        hops += [(rule.via, ", ".join(rule.to)) for rule in table.rules if rule.via is not None]
    return [_facts(hop, route, pages.get(hop.book_name, HopPage()), now) for hop, route in hops]


def _facts(hop: NextHop, route: str, page: HopPage, now: float) -> dict[str, Any]:
    terms = hop.terms
    account = Account(terms.budget, page.spent)
    wait = opens_in(terms.hours, terms.zone, now)
    return {
        "host": str(hop),
        "protocol": "lmtp" if hop.lmtp else "smtp",
        "route": route or None,
        "priority": hop.priority or None,
        "weight": hop.weight,
        "tls": hop.tls.value,
        "login": hop.login or None,
        "health": _health(page),
        "trouble": page.trouble or None,
        "since": page.since or None,
        "heard": page.heard or None,
        "size": page.size or None,
        "limits": page.limits,
        "budget": [_limit_facts(account, meter, now) for meter in account.meters],
        "over": terms.budget.over.value if terms.budget.limits else None,
        "reserve": terms.budget.reserve,
        "max_recipients": terms.most_recipients or None,
        "window": [str(span) for span in terms.hours],
        "opens_in": round(wait) if terms.hours else None,
        "bandwidth": terms.bandwidth or None,
        "in_name_of": str(terms.author) if terms.author else None,
    }


def _health(page: HopPage) -> str:
    if page.trouble:
        return "trouble"
    return "well" if page.heard else "not known"


def _limit_facts(account: Account, meter: Meter, now: float) -> dict[str, Any]:
    """`used_up_in` and `free_in`, seconds: when usual mail has none left at the present pace, and some again."""
    limit = meter.limit
    share = account.budget.share(limit, is_urgent=False)
    used_up_in = meter.used_up_in(share, now)
    return {
        "unit": limit.unit.value,
        "limit": limit.count,
        "seconds": limit.seconds,
        "used": meter.spent(now),
        "for_usual_mail": share,
        "pace_per_hour": round(meter.pace(now) * 3600, 1),
        "used_up_in": None if used_up_in is None else round(used_up_in),
        "free_in": round(meter.free_in(1, share, now)),
    }


def smarthost_lines(facts: Sequence[dict[str, Any]], now: float) -> list[str]:
    return [line for fact in facts for line in _lines(fact, now)]


def _lines(fact: dict[str, Any], now: float) -> Iterable[str]:
    login = f", login {fact['login']}" if fact["login"] else ""
    what = f"route {fact['route']}" if fact["route"] else f"priority {fact['priority']}, weight {fact['weight']}"
    title = f"{'route' if fact['route'] else 'smarthost':<11} {fact['host']}"
    yield f"{title} ({what}, {fact['protocol'].upper()}, TLS {fact['tls']}{login})"
    since = f" since {age(now - fact['since'])}" if fact["since"] else ""
    if fact["trouble"]:
        yield f"  trouble{since}: {fact['trouble']}"
    elif fact["heard"]:
        yield f"  well{since}"
    else:
        yield "  nothing is known of it: no mail has gone there yet"
    if fact["heard"]:
        limits = "".join(f", {name} {value}" for name, value in sorted(fact["limits"].items()))
        yield f"  takes {octets(fact['size']) + ' a message' if fact['size'] else 'any size'}{limits}"
    for limit in fact["budget"]:
        yield f"  {_limit_line(limit, fact['reserve'])}"
    if fact["budget"]:
        yield f"  over budget mail {'waits' if fact['over'] == 'wait' else 'goes to the next smarthost, or waits'}"
    if fact["window"]:
        state = f"closed, opens in {age(fact['opens_in'])}" if fact["opens_in"] else "open"
        yield f"  window {', '.join(fact['window'])}: {state}"
    if fact["bandwidth"]:
        yield f"  at most {octets(fact['bandwidth'])} a second"
    if fact["max_recipients"]:
        yield f"  at most {fact['max_recipients']} recipients of a message at once"
    if fact["in_name_of"]:
        yield f"  mail goes in the name of {fact['in_name_of']}"


def _limit_line(limit: dict[str, Any], reserve: int) -> str:
    line = f"budget {limit['used']} of {limit['limit']} {limit['unit']} in {words_of_span(limit['seconds'])}"
    if reserve:
        line += f" ({limit['limit'] - limit['for_usual_mail']} kept for urgent mail)"
    if limit["free_in"]:
        return f"{line}: used up, some of it is free in {age(limit['free_in'])}"
    if limit["used_up_in"] is None:
        return f"{line}: lasts at the present pace of {limit['pace_per_hour']:g} an hour"
    return f"{line}: used up in {age(limit['used_up_in'])} at the present pace of {limit['pace_per_hour']:g} an hour"
