"""The replies of our server, each named once with its code, its enhanced code and words that help.

A refusal says what was wrong and what to do about it; it never says which accounts exist beyond what RCPT must.
"""

from __future__ import annotations

from functools import lru_cache

from shared.mail.reply import Reply

#  --- it went well ---------------------------------------------------------------------------------------------
OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
RESET = Reply(250, "2.0.0", "Start again with MAIL FROM")
GO_AHEAD = Reply(354, "", "Send the message, then a line with a single dot")
TLS_READY = Reply(220, "2.0.0", "Ready to start TLS")
AUTHENTICATED = Reply(235, "2.7.0", "Authenticated")
GOODBYE = Reply(221, "2.0.0", "Goodbye")
CANNOT_VERIFY = Reply(252, "2.1.5", "Cannot verify, but will take mail and try to deliver it")


@lru_cache(maxsize=16)
def greeting(text: str) -> Reply:
    """The 220 that opens a conversation (RFC 5321 §3.1); a server has one or two."""
    return Reply(220, "", text)


#  --- the command is wrong ----------------------------------------------------------------------------------------
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Unknown command; HELP lists what can be said")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Not implemented; HELP lists what can be said")
LINE_TOO_LONG = Reply(500, "5.5.2", "The line is too long; a command has room in 2048 octets")
BARE_LINE_END = Reply(500, "5.5.2", "Lines end in CR LF together, not in one of them alone")
CONTROL_CHARACTER = Reply(500, "5.5.2", "The command holds a control character")
NOT_UTF8 = Reply(501, "5.5.2", "The command is neither ASCII nor well-formed UTF-8")
NO_ARGUMENT_HERE = Reply(501, "5.5.4", "This command takes no argument")
PARAMETERS_WANT_EHLO = Reply(555, "5.5.4", "Parameters need EHLO; this session began with HELO")
HELLO_WANTS_NAME = Reply(501, "5.5.4", "Say your name: EHLO host.example")
BAD_CHUNK_SIZE = Reply(501, "5.5.4", "BDAT takes a decimal size and then nothing or LAST")
AUTH_SYNTAX = Reply(501, "5.5.4", "Say AUTH and a mechanism, as in AUTH PLAIN")
AUTH_TOO_LONG = Reply(500, "5.5.6", "The authentication line is too long")
NOT_BASE64 = Reply(501, "5.5.2", "The authentication data is not base64")
AUTH_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
TLS_NOT_REQUIRABLE = Reply(555, "5.5.4", "REQUIRETLS can be asked for under TLS only: say STARTTLS first")
UTF8_WANTED = Reply(553, "5.6.7", "A non-ASCII address needs SMTPUTF8 in the MAIL command")

#  --- the command comes at the wrong time -------------------------------------------------------------------------
HELLO_FIRST = Reply(503, "5.5.1", "Say EHLO first, with your name: EHLO host.example")
MAIL_FIRST = Reply(503, "5.5.1", "Say MAIL FROM:<sender> first")
RCPT_FIRST = Reply(503, "5.5.1", "Say RCPT TO:<recipient> first")
MAIL_ALREADY = Reply(503, "5.5.1", "A sender is given already; say RCPT TO:<recipient>, or RSET to start again")
NO_RECIPIENTS = Reply(554, "5.5.1", "No recipient was accepted")
BINARY_WANTS_CHUNKS = Reply(503, "5.5.1", "A BODY=BINARYMIME message goes by BDAT, not by DATA; RSET starts again")
CHUNKS_BEGUN = Reply(503, "5.5.1", "BDAT has begun; go on with BDAT, or RSET to start again")
FINISH_FIRST = Reply(503, "5.5.1", "Finish the mail transaction first, or RSET to start again")
TLS_ALREADY = Reply(503, "5.5.1", "TLS is active already")
TLS_NOT_OFFERED = Reply(502, "5.5.1", "STARTTLS is not available here")
AUTH_ALREADY = Reply(503, "5.5.1", "Authenticated already")
AUTH_NOT_OFFERED = Reply(502, "5.5.1", "AUTH is not available here")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "Say STARTTLS first: no password goes over an open line here")
AUTH_MECHANISM = Reply(504, "5.5.4", "That mechanism is not offered; EHLO lists those that are")
AUTH_MALFORMED = Reply(501, "5.5.2", "The authentication data is malformed")

#  --- the message cannot be taken ---------------------------------------------------------------------------------
TOO_LARGE = Reply(552, "5.3.4", "The message is larger than this server takes: SIZE in EHLO says how much")
BARE_LINE_END_IN_MESSAGE = Reply(554, "5.6.0", "The message has a CR or LF that is not part of a CR LF line end")
NUL_IN_MESSAGE = Reply(554, "5.6.0", "The message holds a NUL octet")

#  --- the session is over ------------------------------------------------------------------------------------------
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many refused commands; HELP lists what can be said; closing")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands without a message; closing")
NOT_SMTP = Reply(421, "4.7.0", "This is a mail server and that is not SMTP; closing")
COMMANDS_BEHIND_TLS = Reply(421, "4.7.0", "Commands were sent behind STARTTLS before its answer; closing")
XCLIENT_COMES_LAST = Reply(503, "5.5.1", "Wait for the answer to XCLIENT before the next command")
