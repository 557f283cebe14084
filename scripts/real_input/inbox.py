"""A real SMTP server that keeps every message as it came, and lets a caller wait for the one it needs."""

import dataclasses
import email
import email.policy
import re
import threading

from aiosmtpd.controller import Controller

from real_input.house import free_port


@dataclasses.dataclass
class Mail:
    """One message; `arrived` is the moment on the server's own (moved) clock."""

    to: str
    kind: str
    message_id: str
    subject: str
    text: str
    arrived: float
    raw: bytes

    def link(self, action):
        """The address alone on a line that opens the page of `action`."""
        found = re.search(rf"^(https?://\S+/e/{action}/\S+)\s*$", self.text, re.MULTILINE)
        return found and found[1]

    @property
    def moment(self):
        """Of a reminder: which of the two."""
        return "two_hours" if re.search(r"in about two hours", self.text) else "day_before"

    @property
    def day(self):
        """Of a mail about a run: its day as the mail says it, such as "27 March 2027"."""
        found = re.search(r"^When: \w+ (\d+ \w+ \d{4}),", self.text, re.MULTILINE)
        return found and found[1]


class Inbox:
    """All mail in the order of arrival. Start it, then `wait_for` what must come."""

    def __init__(self, now):
        self.mails = []
        self._now = now
        self._changed = threading.Condition()
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    def start(self):
        self._controller.start()

    def stop(self):
        self._controller.stop()

    async def handle_DATA(self, _server, _session, envelope):  # the name is aiosmtpd's
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = message.get_body(preferencelist=("plain",))
        for to in envelope.rcpt_tos:
            mail = Mail(
                to=to.lower(),
                kind=message.get("X-Mail-Kind", "(no X-Mail-Kind)"),
                message_id=message.get("Message-ID", ""),
                subject=message.get("Subject", ""),
                text=text.get_content().replace("\r\n", "\n") if text else "",
                arrived=self._now(),
                raw=envelope.content,
            )
            with self._changed:
                self.mails.append(mail)
                self._changed.notify_all()
        return "250 kept"

    def of_kind(self, *kinds):
        with self._changed:
            return [mail for mail in self.mails if mail.kind in kinds]

    def wait_for(self, what, enough, patience_s):
        """Returns `enough(mails)` as soon as it is true; each arrival is the event. Fails by name after `patience_s`."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self.mails), timeout=patience_s):
                raise TimeoutError(f"{what}: not within {patience_s} s; {len(self.mails)} mails so far")
            return enough(self.mails)
