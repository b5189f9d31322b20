"""The words of MERCURY.INI that are not taken over, as tables: what to use in their place, and which are idle.

Words are in small letters, without spaces and underscores. Pure data. Not here: what is taken over (mercury_ini.py).
"""

from __future__ import annotations

_JOURNAL = "events go to the journal, see docs/events.md"
_DIALOGUES = "dialogues are shown by `mercury trace`"
_REPORTS = "reports have texts of their own, see `sites.*.language`"
_RELAYING = "here nobody may relay but clients in `sites.*.networks`, and logins"
_PACE = "see `retry`: growing pauses up to 5 days, unless said otherwise"

#  Section → beginning of the keyword ("": all of the section) → why it is left, or what to use; the first fit counts.
NO_EQUAL = {
    "general": {
        "mailqueue": "the queue is `spool`",
        "smtpqueue": "the queue is `spool`",
        "newmailpath": "mailboxes are Maildirs, see `local.maildir`",
        "retry": _PACE,
        "timezone": "the host's own",
        "log": _JOURNAL,
    },
    "mercury": {
        "aliasfile": "aliases are the file `aliases` beside the configuration; see docs/from-mercury32.md",
        "synfile": "synonyms are aliases, or `local.names.first_last`",
        "autoaddress": "see `local.names.first_last`",
        "listfile": "mailing lists are `local.lists`",
        "failfile": _REPORTS,
        "confirmfile": _REPORTS,
        "logfile": _JOURNAL,
        "retries": _PACE,
        "retry": _PACE,
        "maxretries": _PACE,
        "gullible": "whose addresses a login may use is `receive.submission.sender`",
        "dsntime": "when senders are told that mail is late is `retry.warn_after`",
        "localdsns": "when senders are told that mail is late is `retry.warn_after`",
    },
    "mercurys": {
        "relay": _RELAYING,
        "strictrelay": _RELAYING,
        "timeout": "see `receive.limits.idle`",
        "helo": "MercuryS greets with `hostname`",
        "ssl": "certificates are `tls`, in PEM; STARTTLS is then offered at each port",
        "certificate": "certificates are `tls`, in PEM",
        "authfile": "passwords are set anew: `mercury user passwd ADDR`",
        "logfile": _JOURNAL,
        "session": _DIALOGUES,
        "allowillegals": "addresses must be as the standard has them",
        "compliance": "see `receive.filters` and `receive.rules`",
        "maximumfailedrcpts": "see `receive.limits.unknown_recipients`",
        "maxrelayattempts": "see `receive.limits.relay_attempts`",
        "stblacklisting": "see `receive.blacklist`",
        "novrfy": "VRFY tells nobody which mailboxes there are",
        "smtpconnflags": "see `receive.rules`",
    },
    "mercuryc": {
        "failfile": _REPORTS,
        "timeout": "times are those of RFC 5321",
        "log": _JOURNAL,
        "session": _DIALOGUES,
        "pop3": "a login by POP3 before mail is sent is not there: `smarthosts[].login`",
    },
    "mercurye": {
        "timeout": "times are those of RFC 5321",
        "log": _JOURNAL,
        "session": _DIALOGUES,
        "dnstimeout": "see `dns.timeout`",
        "maxthreads": "connections grow in number as they go well; limits are `direct.destinations`",
    },
    "mercuryp": {"": "Mercury has no POP3 server: let Dovecot serve the Maildirs"},
    "mercuryi": {"": "Mercury has no IMAP server: let Dovecot serve the Maildirs"},
    "mercuryd": {"": "Mercury fetches no mail by POP3: fetchmail or getmail can, and hand it to mercury-sendmail"},
    "mercuryh": {"": "there is no PH server"},
    "mercuryf": {"": "there is no finger server"},
    "mercuryw": {"": "passwords are set with `mercury user passwd ADDR`"},
    "mercuryx": {"": "nothing is scheduled by hours of the day but `smarthosts[].window`"},
    "mercuryb": {"": "there is no web server for mail"},
    "maiser": {"": "there are no lists by mail command: see `local.lists`"},
    "groups": {"": "a group is an alias with several addresses, in the file `aliases`"},
    "rewrite": {"": "addresses are not rewritten but by aliases"},
    "statistics": {"": "numbers are `mercury status`, the status page and `metrics`"},
}

_HOUSEKEEPING = ("scratch", "poll", "returnlines", "stack", "debug")
#  Folders, windows and the pace of that program: nobody has to do anything about them.
OF_NO_MATTER = {
    "general": ("fileapi",),
    "mercury": (
        *_HOUSEKEEPING, "logwidth", "loglevel", "logmax", "retpath", "maxhops", "bitnethost", "broadcast", "receipts",
        "pmnotify", "changeowner", "autotzone", "twopasses", "dailyexit", "noareply", "altforward", "mainthour",
        "maintmin", "hostintitle", "lingering", "lingertimeout", "alerthost", "alertinterval", "alertflags",
    ),
    "mercurys": _HOUSEKEEPING,
    "mercuryc": (*_HOUSEKEEPING, "esmtp"),
    "mercurye": (*_HOUSEKEEPING, "dnsretries", "transcripts"),
}  # fmt: skip

#  Modules by the name of their file. Those with a section in NO_EQUAL are named there.
OURS = frozenset({"mercurys", "mercuryc", "mercurye"})
MODULES = OURS | {"mercuryp", "mercuryi", "mercuryd", "mercuryh", "mercuryf", "mercuryw", "mercuryx", "mercuryb"}
