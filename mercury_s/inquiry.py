"""The inquiry: what speaks against a sender or a recipient, asked of filters, policy, rates and the mailbox.

Facts are gathered here and judged in policy/transaction.py. Nothing is said to the client and nothing counted against
it here: an answer is a value, and session.py makes a reply of it.
"""

from __future__ import annotations

from mercury_s.acceptance import Acceptance
from mercury_s.door import Door, ListenerTerms
from mercury_s.guest import Guest
from mercury_s.local.directory import Found, NoSuchUser
from mercury_s.policy.literal import is_own_literal
from mercury_s.policy.transaction import RecipientFacts, SenderFacts, decide_recipient, decide_sender
from mercury_s.policy.verdict import Accept, Manner, Refuse
from mercury_s.porter import Offence
from mercury_s.screening import Screening
from mercury_s.submission import Submitter
from mercury_s.wire import Wire
from shared.mail.address import Address, AddressError
from shared.mail.record import dataclass
from shared.mail.reply import Reply
from shared.smtp.events import RecipientGiven, SenderGiven

TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Enough messages for one session; come again with the others")


@dataclass(frozen=True, slots=True)
class Objection:
    """Why `address` is no recipient. `offence`: what few honest clients ask for."""

    address: Address
    refusal: Refuse
    offence: Offence | None = None


class Inquiry:
    """What is asked about one `guest`; with a `screening` the filters are asked first."""

    __slots__ = ("_door", "_guest", "_screening", "_terms", "_wire")

    def __init__(
        self, door: Door, terms: ListenerTerms, guest: Guest, wire: Wire, screening: Screening | None
    ) -> None:
        self._door = door
        self._terms = terms
        self._guest = guest
        self._wire = wire
        self._screening = screening

    @property
    def must_log_in(self) -> bool:
        """This listener is for our own people, and we do not know yet that this is one."""
        return self._terms.is_submission and not self._guest.may_relay

    def ask_sender(self, given: SenderGiven, taken: int) -> Refuse | None:
        """`taken`: how many messages it has given us in this session."""
        door, guest = self._door, self._guest
        if self._screening:
            refusal = self._screening.ask_sender(guest.helo, given.sender, bool(guest.login))
            if refusal is not None:
                return refusal
        free = door.room.free_bytes()
        verdict = decide_sender(SenderFacts(self.must_log_in, given.size, door.largest_message, free))
        if door.most_messages and taken >= door.most_messages:
            return Refuse(TOO_MANY_MESSAGES, "receive.limits.messages is reached", Manner.CLOSE)
        if isinstance(verdict, Refuse):
            return verdict
        return door.throttle.message(guest.sending(given)) if door.throttle is not None else None

    def submitter(self) -> Submitter | None:
        """Whose mail it is, if it is new mail of our own people."""
        door, guest = self._door, self._guest
        if not (guest.login or self._terms.is_submission):
            return None
        return Submitter(door.directory, door.identities, door.home, guest.identity)

    def ask_recipient(self, given: RecipientGiven, acceptance: Acceptance) -> Address | Objection:
        """The address that the mail is for, whole."""
        door, guest, address = self._door, self._guest, given.recipient
        if not address.domain or self._is_at_our_ip(address):
            address = Address(address.local, door.home)
        refusal = self._screening.ask_recipient(address) if self._screening else None
        if refusal is not None:
            return Objection(address, refusal)
        try:
            is_local = door.directory.is_local(address)
        except AddressError as error:
            reply = Reply(553, "5.1.3", f"Bad recipient address: {error}")
            return Objection(address, Refuse(reply, "no valid domain"))
        found = door.directory.find(address) if is_local else None
        exists = is_local and not isinstance(found, NoSuchUser)
        facts = RecipientFacts(is_local, exists, guest.may_relay, len(acceptance.recipients), door.most_recipients)
        verdict = decide_recipient(facts)
        refusal = self._ask_rates_and_room(acceptance, address, found) if isinstance(verdict, Accept) else verdict
        return address if refusal is None else Objection(address, refusal, _offence(facts))

    def _ask_rates_and_room(self, acceptance: Acceptance, address: Address, found: Found | None) -> Refuse | None:
        door, guest, given = self._door, self._guest, acceptance.sender
        refusal = door.throttle.recipient(guest.sending(given)) if door.throttle is not None else None
        if refusal is None and found is not None and door.reception is not None:
            is_inside = bool(guest.login or guest.welcome.site)
            return door.reception.objection(found, given.sender, is_inside)
        if refusal is None and found is None and given.size and door.reach is not None:
            return door.reach.object_to(address, guest.welcome.site, given.size)
        return refusal

    def _is_at_our_ip(self, address: Address) -> bool:
        """user@[192.0.2.1] is one of ours when that is where the client found us (RFC 5321 §4.1.3)."""
        if not address.is_literal or self._door.directory.is_local(address):
            return False
        return is_own_literal(address.domain, self._wire.own_address())


def _offence(facts: RecipientFacts) -> Offence | None:
    if facts.mailbox_exists or (facts.may_relay and not facts.is_local_domain):
        return None
    return Offence.UNKNOWN_RECIPIENT if facts.is_local_domain else Offence.RELAY_ATTEMPT
