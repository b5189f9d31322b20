"""The events of the suite: each is named once, here, with what it means and how urgent it is.

A name is what operators search and alert by, so it never changes its meaning. Fields that return: `id` (queue id),
`lane`, `client`, `sender`, `recipient`, `host`, `reply`, `reason`, `size`, `path`. How events are written: log.py.
"""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """As syslog and the journal number them (RFC 5424 §6.2.1)."""

    ALERT = 1
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


class Event(str):
    """The name of an event; a str wherever a name is wanted."""

    __slots__ = ("meaning", "priority")

    meaning: str
    priority: Priority

    def __new__(cls, name: str, meaning: str, priority: Priority = Priority.INFO) -> Event:
        event = super().__new__(cls, name)
        event.meaning = meaning
        event.priority = priority
        return event


_known: dict[str, Event] = {}


def named(name: str) -> Event:
    """The event of that name; the rooms below this one, which cannot import it, write it `entry_set_aside`."""
    found = _known.get(name)
    if found is None:
        dashed = name.replace("_", "-")
        found = next((event for event in globals().values() if type(event) is Event and event == dashed), None)
        found = _known[name] = found or Event(dashed, "not in the list")
    return found


# The life of a daemon.
DAEMON_STARTED = Event("daemon-started", "ready: the listeners are open, the lanes are drained", Priority.NOTICE)
DAEMON_STOPPING = Event("daemon-stopping", "asked to stop; what is in flight is finished first", Priority.NOTICE)
DAEMON_STOPPED = Event("daemon-stopped", "ended in order", Priority.NOTICE)
DAEMON_START_FAILED = Event("daemon-start-failed", "could not start; the reason is in the line", Priority.ERROR)
STOP_CUT_SHORT = Event("stop-cut-short", "the grace was over before all in flight was finished", Priority.WARNING)
CONFIG_RELOADED = Event("config-reloaded", "the new configuration is in force, and what changed", Priority.NOTICE)
CONFIG_REFUSED = Event("config-refused", "the new configuration has an error; the old one stays", Priority.ERROR)
RESTART_NEEDED = Event("restart-needed", "a setting changed that only a restart puts in force", Priority.WARNING)
CONTROL_OFF = Event("control-off", "the control socket cannot be opened; the daemon goes on", Priority.WARNING)
STATUS_UNWRITTEN = Event("status-unwritten", "the file for `mercury status` cannot be written", Priority.WARNING)
NO_PROGRESS = Event("no-progress", "the daemon runs but gets nothing done; the watchdog is not fed", Priority.ERROR)
SITE_WORD_CHANGED = Event(
    "site-word-changed", "a site relays, delivers directly or holds from here on; its mail follows", Priority.NOTICE
)
SITE_WORDS_TROUBLE = Event(
    "site-words-trouble", "what is said of sites by hand or about port 25 cannot be read or kept", Priority.ERROR
)
PORT_25_KNOCKED = Event("port-25-knocked", "a round of knocking at well-known mail hosts; says what they said")
PORT_25_BLOCKED = Event("port-25-blocked", "a site on auto relays, as port 25 is blocked from here", Priority.WARNING)
PORT_25_OPEN = Event("port-25-open", "a site on auto delivers directly again", Priority.NOTICE)
WORKER_STARTED = Event("worker-started", "a worker process is ready", Priority.NOTICE)
WORKER_ENDED = Event("worker-ended", "a worker process ended", Priority.WARNING)
SOCKET_UNUSED = Event("socket-unused", "systemd listens where no listener is: stop that unit", Priority.WARNING)
LISTENING = Event("listening", "a listener is open", Priority.NOTICE)

# Faults of ours, and what libraries complain about.
FAULT = Event("fault", "an exception nobody expected, with its traceback", Priority.ERROR)
LIBRARY_SAID = Event("library-said", "a library we use logged a warning or an error", Priority.WARNING)
EVENT_UNSPEAKABLE = Event("event-unspeakable", "an event had a field that cannot be shown", Priority.ERROR)
EVENTS_LOST = Event("events-lost", "events that could not be written, and how many", Priority.ERROR)

# Sessions of MercuryS.
SESSION_OPENED = Event("session-opened", "a client connected", Priority.DEBUG)
SESSION_CLOSED = Event("session-closed", "a client is gone; says how and after how many messages")
SESSION_REFUSED = Event("session-refused", "a client was turned away at the door", Priority.NOTICE)
SESSION_TIMED_OUT = Event("session-timed-out", "a client was silent for too long", Priority.NOTICE)
LIMIT_REACHED = Event(
    "limit-reached", "a limit of the session was reached; the line names the setting", Priority.NOTICE
)
CLIENT_BLACKLISTED = Event("client-blacklisted", "a client is not let in for some time", Priority.NOTICE)
BLACKLIST_TROUBLE = Event("blacklist-trouble", "the file of the blacklist cannot be used", Priority.ERROR)
SESSIONS_CROWDED = Event("sessions-crowded", "nearly too many sessions; strangers get less time", Priority.WARNING)
SESSIONS_AT_EASE = Event("sessions-at-ease", "there is room for sessions again", Priority.NOTICE)
PROXY_REFUSED = Event("proxy-refused", "a connection from a proxy had no valid PROXY header", Priority.WARNING)
CLIENT_INTRODUCED = Event("client-introduced", "a trusted peer said by XCLIENT for whom it speaks")
HELO_REFUSED = Event("helo-refused", "EHLO or HELO was refused by a filter", Priority.NOTICE)
SENDER_REFUSED = Event("sender-refused", "MAIL was refused", Priority.NOTICE)
RECIPIENT_REFUSED = Event("recipient-refused", "RCPT was refused", Priority.NOTICE)
MESSAGE_REFUSED = Event("message-refused", "a message was refused after its data", Priority.NOTICE)
MESSAGE_DROPPED = Event(
    "message-dropped", "a filter threw a message away that was answered with 250", Priority.NOTICE
)
FILTER_MATCHED = Event("filter-matched", "a filter of receive.filters acted; says which, and on what text")
SENDER_REWRITTEN = Event("sender-rewritten", "the login's own address took the place of a foreign one")
MESSAGE_ACCEPTED = Event("message-accepted", "a message is durable in the spool and was answered with 250")
TLS_FAILED = Event("tls-failed", "a handshake failed", Priority.NOTICE)
LOGIN_ACCEPTED = Event("login-accepted", "a client logged in")
LOGIN_REFUSED = Event("login-refused", "a login was wrong", Priority.NOTICE)
LOGINS_DOWN = Event("logins-down", "nobody could say whether a login is right; clients come again", Priority.ERROR)
TLS_FLOOR_LOWERED = Event(
    "tls-floor-lowered", "a listener speaks a version of TLS that is broken, to these networks", Priority.WARNING
)

# The spool.
SPOOL_NOT_ALONE = Event(
    "spool-not-alone",
    "queue.sync is syncfs and others may use the disk: each sync waits for their writes",
    Priority.NOTICE,
)
DEPOSIT_FAILED = Event("deposit-failed", "a message could not be made durable; the client keeps it", Priority.ERROR)
ENTRY_SET_ASIDE = Event("entry-set-aside", "an entry could not be read and was moved to corrupt/", Priority.ERROR)
ENTRIES_ADOPTED = Event("entries-adopted", "entries of a dead owner went back to their lane", Priority.WARNING)
LEFTOVER_SWEPT = Event("leftover-swept", "remains of an interrupted deposit were removed", Priority.NOTICE)
TRASH_EMPTIED = Event("trash-emptied", "a removed message is gone for good, queue.trash after its removal")
CLAIM_FAILED = Event("claim-failed", "an entry could not be opened for now; it stays in its lane", Priority.WARNING)
CLAIM_LOST = Event("claim-lost", "an entry we worked on was taken from us; it may be delivered twice", Priority.ERROR)
TRAIL_DAMAGED = Event("trail-damaged", "lines of a trail cannot be read and are skipped", Priority.WARNING)
SPOOL_TROUBLE = Event("spool-trouble", "an operation on the spool failed and will be tried again", Priority.ERROR)
SPOOL_FULL = Event("spool-full", "too little free space; mail is refused for now", Priority.ALERT)

PICKUP_REFUSED = Event(
    "pickup-refused", "a file in the pickup folder can never be mail and was put aside", Priority.WARNING
)
PICKUP_OFF = Event("pickup-off", "the pickup folder cannot be used; says what to do", Priority.WARNING)

# Delivery, in every daemon that drains a lane.
RECIPIENT_DELIVERED = Event("recipient-delivered", "the next hop has taken responsibility for a recipient")
RECIPIENT_DEFERRED = Event("recipient-deferred", "a recipient will be tried again later", Priority.NOTICE)
RECIPIENT_FAILED = Event("recipient-failed", "a recipient will never work", Priority.NOTICE)
RECIPIENT_MOVED = Event("recipient-moved", "a recipient goes another way from here on")
MESSAGE_BOUNCED = Event("message-bounced", "a failure report was put into the spool", Priority.NOTICE)
MESSAGE_CONFIRMED = Event("message-confirmed", "the sender was told of a success, as it had asked")
MESSAGE_DELAYED = Event("message-delayed", "the sender was told that it takes longer", Priority.NOTICE)
MESSAGE_EXPIRED = Event("message-expired", "the lifetime is over; what is left bounces", Priority.NOTICE)
MESSAGE_FINISHED = Event("message-finished", "no recipient is left; the entry is gone")
BOUNCE_DISCARDED = Event("bounce-discarded", "a report could not be delivered and ends here", Priority.NOTICE)
BOUNCE_HELD = Event("bounce-held", "a report could not be delivered and waits for somebody", Priority.WARNING)
CARRIER_FAULT = Event("carrier-fault", "a carrier broke its promise; the leg is deferred", Priority.ERROR)

# Connections outward, names, accounts.
CONNECTION_OPENED = Event("connection-opened", "a connection to a next hop is ready", Priority.DEBUG)
CONNECTION_CLOSED = Event("connection-closed", "a connection to a next hop ended", Priority.DEBUG)
CONNECTION_FAILED = Event("connection-failed", "a next hop could not be reached", Priority.NOTICE)
HOP_PASSED_OVER = Event(
    "hop-passed-over", "a smarthost gets no mail until a probe finds it well; others take it", Priority.WARNING
)
HOP_RECOVERED = Event("hop-recovered", "a smarthost that was passed over is well again", Priority.NOTICE)
HOP_BOOK_TROUBLE = Event(
    "hop-book-trouble", "what is known of the next hops cannot be kept or read; counting goes on", Priority.ERROR
)
TOKEN_RENEWED = Event("token-renewed", "an OAuth provider gave a token for the logins of an account")
TOKEN_REFUSED = Event("token-refused", "a server did not like a token; another is asked for", Priority.NOTICE)
TOKEN_TROUBLE = Event("token-trouble", "an OAuth provider gave no token for now; asked again soon", Priority.WARNING)
TOKEN_UNWRITTEN = Event("token-unwritten", "a token could not be kept on the disk; see `state`", Priority.ERROR)
CONSENT_LOST = Event(
    "consent-lost", "an OAuth provider gives no token any more; mail waits until somebody logs in", Priority.ERROR
)
DKIM_KEY_UNUSABLE = Event(
    "dkim-key-unusable",
    "mail cannot be signed with this key, and waits or goes without; said once for each reason",
    Priority.ERROR,
)
STS_POLICY_FETCHED = Event("sts-policy-fetched", "a domain's MTA-STS policy was fetched and is in force")
STS_POLICY_UNUSABLE = Event(
    "sts-policy-unusable", "a domain's MTA-STS policy cannot be fetched, read or kept", Priority.NOTICE
)
TLS_REPORT_SENT = Event("tls-report-sent", "a domain was told how TLS to it went on a day")
TLS_REPORT_UNSENT = Event("tls-report-unsent", "a TLS report could not be sent or kept", Priority.NOTICE)
USERS_REFUSED = Event("users-refused", "the list of users or aliases has an error; the old one stays", Priority.ERROR)

CERTIFICATES_RENEWED = Event(
    "certificates-renewed", "changed certificate files are in use from here on", Priority.NOTICE
)
CERTIFICATE_WARNING = Event(
    "certificate-warning", "something is wrong with a certificate, or soon will be", Priority.WARNING
)

# The history (shared/history).
HISTORY_TROUBLE = Event(
    "history-trouble",
    "the history cannot be written; it goes on from the records later, and mail goes on",
    Priority.ERROR,
)
HISTORY_BACK = Event(
    "history-back", "the history is written again, with what was recorded meanwhile", Priority.NOTICE
)
METRICS_TROUBLE = Event("metrics-trouble", "the numbers cannot be written or shown; says why", Priority.ERROR)

# The status page.
PAGE_LOGIN_ACCEPTED = Event("page-login-accepted", "somebody logged in to the status page")
PAGE_LOGIN_REFUSED = Event("page-login-refused", "a login to the status page was wrong", Priority.NOTICE)
PAGE_REQUEST_REFUSED = Event(
    "page-request-refused",
    "a request to the status page came by a foreign name or another page",
    Priority.NOTICE,
)

# The operator.
OPERATOR_ACTED = Event("operator-acted", "someone changed the queue by hand; says who, what and why", Priority.NOTICE)
