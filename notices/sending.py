"""How a message is sent: mail by the standard library, because a retry must keep its Message-ID; the rest by Apprise.

Apprise parses every target and knows every service; of a mail it would make a new Message-ID each time, so that a
message that was sent, and whose worker died before it said so, would come twice.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256

from apprise import Apprise
from apprise.plugins import NotifyBase
from apprise.plugins.email import NotifyEmail

from domain.notices_box import Message
from domain.notices_policy import is_address
from notices.rendering import Rendered, Templates
from notices.targets import ANSWER_SECONDS, SOMEBODY, Target, TargetError

LONGEST_SECONDS = 60
"""How long a service may take altogether."""


class Unsent(Exception):
    """A message that a target did not take.

    Attributes:
        for_good: no later try would send it.
    """

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class Sender:
    """Sends messages to the targets that are configured."""

    def __init__(self, targets: Mapping[str, Target], templates: Templates) -> None:
        """Send to ``targets`` what ``templates`` make of messages."""
        self._targets = targets
        self._templates = templates

    async def send(self, message: Message) -> None:
        """Send one message; a target has twenty seconds for each answer.

        Raises:
            Unsent: the target did not take it.
        """
        target = self._targets.get(message.target)
        if target is None:
            raise Unsent(f"target {message.target} is not configured any more", for_good=True)
        if target.personal and not is_address(message.address):
            raise Unsent(f"{message.name} has no mail address; give one in notices.yaml", for_good=True)
        rendered = self._templates.render(message)
        try:
            service = target.service(message.address)
        except TargetError as error:
            raise Unsent(str(error), for_good=True) from error
        if isinstance(service, NotifyEmail):
            await asyncio.to_thread(_mail, service, _letter(service, message, rendered), target.name)
        else:
            await asyncio.to_thread(_post, service, rendered, target.name)


def message_id_of(message: Message, domain: str) -> str:
    """The Message-ID of a mail: the same for every try, and nothing of its content in it."""
    return f"<{sha256(f'{message.message_id}/{message.target}'.encode()).hexdigest()[:40]}@{domain}>"


def _letter(service: NotifyEmail, message: Message, rendered: Rendered) -> EmailMessage:
    """The mail. The library refuses a header with a line break in it, whoever wrote it."""
    name, sender = service.from_addr[0], _sender(service)
    letter = EmailMessage(policy=SMTP)
    letter["Subject"] = rendered.subject
    letter["From"] = Address(display_name=str(name or ""), addr_spec=sender)
    letter["To"] = [Address(addr_spec=address) for _, address in service.targets]
    for header, addresses in (("Cc", service.cc), ("Reply-To", service.reply_to)):
        if addresses:
            letter[header] = [Address(addr_spec=address) for address in sorted(addresses)]
    letter["Date"] = format_datetime(datetime.now(UTC))
    letter["Message-ID"] = message_id_of(message, sender.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(rendered.plain)
    letter.add_alternative(rendered.html, subtype="html")
    return letter


def reach(target: Target) -> bool:
    """Sign in at a target without sending anything; False where nothing but a message would tell.

    Raises:
        Unsent: the mail server cannot be reached, or refuses user or password.
    """
    service = target.service(SOMEBODY)
    if not isinstance(service, NotifyEmail):
        return False
    with _refusals(target.name), _server(service) as server:
        server.noop()
    return True


def _sender(service: NotifyEmail) -> str:
    return str(service.from_addr[1])


def _mail(service: NotifyEmail, letter: EmailMessage, target: str) -> None:
    to = [address for _, address in service.targets] + sorted(service.cc) + sorted(service.bcc)
    with _refusals(target), _server(service) as server:
        server.send_message(letter, _sender(service), to)


@contextmanager
def _server(service: NotifyEmail) -> Iterator[smtplib.SMTP]:
    """A mail server, signed in. Certificates are checked by this system's authorities."""
    context = ssl.create_default_context()
    host, port = str(service.smtp_host), int(service.port or 0)
    if service.secure_mode == "ssl":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=ANSWER_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=ANSWER_SECONDS)
    with server:
        if service.secure_mode == "starttls":
            server.starttls(context=context)
        if service.user and service.password:
            server.login(service.user, service.password)
        yield server


@contextmanager
def _refusals(target: str) -> Iterator[None]:
    """What a mail server refuses, as ``Unsent``."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        why = f"target {target}: the mail server does not take the recipient ({codes[0]})"
        raise Unsent(why, for_good=all(code >= 500 for code in codes)) from error
    except smtplib.SMTPAuthenticationError as error:
        raise Unsent(f"target {target}: the mail server refuses user or password ({error.smtp_code})") from error
    except smtplib.SMTPResponseException as error:
        for_good = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500
        raise Unsent(f"target {target}: the mail server answers {error.smtp_code}", for_good=for_good) from error
    except (OSError, smtplib.SMTPException) as error:
        raise Unsent(f"target {target}: the mail server cannot be reached ({type(error).__name__})") from error


def _post(service: NotifyBase, rendered: Rendered, target: str) -> None:
    sender = Apprise()
    sender.add(service)
    said: list[str] = []
    result = sender.notify(
        body=rendered.plain,
        title=rendered.subject,
        body_format="text",
        timeout=LONGEST_SECONDS,
        log_callback=lambda entry, _: said.append(entry.message),
    )
    if not result:
        answered = re.search(r"error=(\d{3})", " ".join(said))
        what = f"answers {answered[1]}" if answered else "does not take it, or cannot be reached"
        raise Unsent(f"target {target}: {what}")
