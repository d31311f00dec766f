"""Messages as a mail server and a webhook receiver get them; what a target refuses, and what cannot be smuggled in."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.notices import Kind, Notice
from domain.notices_box import Message, WaitingRequest
from dynamics.core.network import is_loopback
from notices.rendering import Pages, Templates
from notices.sending import Sender, Unsent, message_id_of
from notices.targets import TargetError, read_targets, unknown
from tests.receivers import Hook, Mailbox, mail_server, webhook
from workers.pages import account_pages, deal_pages, late_pages, parallel_pages, request_pages

WEB = "https://q2c.contoso.example"
PAGES = Pages(
    home=f"{WEB}/",
    deal=deal_pages(WEB),
    request=request_pages(WEB),
    account=account_pages(WEB),
    late=late_pages(WEB),
    parallel=parallel_pages(WEB),
)
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as receiver:
        yield receiver


def sender(**urls: str) -> Sender:
    return Sender(read_targets(json.dumps(urls), is_loopback), Templates(PAGES))


def mail(box: Mailbox) -> Sender:
    return sender(mail=f"mailto://127.0.0.1:{box.port}/{{address}}?from=q2c@contoso.example")


def notice(kind: Kind = Kind.APPROVAL_ASKED, **more: Any) -> Notice:
    usual: dict[str, Any] = {"kind": kind, "company": "usmf", "quote_number": "Q-1", "n": 2, "at": AT, "due": AT}
    return Notice.model_validate(usual | more)


def message(*notices: Notice, target: str = "mail", **more: Any) -> Message:
    usual: dict[str, Any] = {
        "message_id": "run/1", "target": target, "recipient": "oid", "name": "Mona Meyer",
        "address": "mona@contoso.example", "timezone": "Europe/Berlin", "notices": notices or (notice(),),
    }  # fmt: skip
    return Message.model_validate(usual | more)


async def why(sending: Sender, what: Message) -> tuple[str, bool]:
    with pytest.raises(Unsent) as refused:
        await sending.send(what)
    return str(refused.value), refused.value.for_good


async def test_an_approver_gets_plain_text_and_html_with_links_that_decide_after_signing_in(mailbox: Mailbox) -> None:
    await mail(mailbox).send(message(notice(customer="US-001 Contoso", text="rita asks for 22 % discount at most.")))
    (got,) = mailbox.mails
    assert (got["to"], got["from"]) == ("mona@contoso.example", "q2c@contoso.example")
    assert got["subject"] == "Approval requested: Q-1 US-001 Contoso"
    assert got["auto-submitted"] == "auto-generated"
    plain, html = got.get_body(("plain",)), got.get_body(("html",))
    assert plain is not None and html is not None
    for part in (plain.get_content(), html.get_content()):
        assert f"{WEB}/approvals/usmf/Q-1/2?decide=approve" in part
        assert f"{WEB}/approvals/usmf/Q-1/2?decide=reject" in part
        assert "2026-11-25 13:00 (Europe/Berlin)" in part and "22 % discount" in part
        assert "asks you to sign in" in part


async def test_a_retry_has_the_same_message_id_and_another_message_another(mailbox: Mailbox) -> None:
    for _ in range(2):
        await mail(mailbox).send(message())
    await mail(mailbox).send(message(message_id="run/2"))
    first, again, other = (got["message-id"] for got in mailbox.mails)
    assert first == again == message_id_of(message(), "contoso.example") != other


async def test_nothing_of_a_customer_or_quote_becomes_a_header_or_html(mailbox: Mailbox) -> None:
    evil = 'Q-1\r\nBcc: all@evil.example\r\n\r\n<script>alert("x")</script>\u202egnp'
    await mail(mailbox).send(message(notice(customer=evil, quote_number=evil[:80], text=evil), name=evil))
    (got,) = mailbox.mails
    assert got["bcc"] is None and mailbox.to == [["mona@contoso.example"]]
    html, plain = got.get_body(("html",)), got.get_body(("plain",))
    assert html is not None and plain is not None
    assert "<script>" not in html.get_content() and "&lt;script&gt;" in html.get_content()
    assert "\u202e" not in plain.get_content()


@pytest.mark.parametrize("address", ["", "mona", "a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example"])
async def test_a_person_without_a_plain_address_gets_nothing_and_it_is_said(mailbox: Mailbox, address: str) -> None:
    text, for_good = await why(mail(mailbox), message(address=address))
    assert text == "Mona Meyer has no mail address; give one in notices.yaml" and for_good
    assert mailbox.mails == []


async def test_a_target_that_was_taken_away_fails_for_good(mailbox: Mailbox) -> None:
    assert await why(mail(mailbox), message(target="old")) == ("target old is not configured any more", True)


@pytest.mark.parametrize(
    ("recipient", "content", "text", "for_good"),
    [
        ("550 no such user", "250 OK", "target mail: the mail server does not take the recipient (550)", True),
        ("451 greylisted", "250 OK", "target mail: the mail server does not take the recipient (451)", False),
        ("250 OK", "554 spam", "target mail: the mail server answers 554", True),
        ("250 OK", "452 full", "target mail: the mail server answers 452", False),
    ],
)
async def test_what_a_mail_server_refuses(
    mailbox: Mailbox, recipient: str, content: str, text: str, for_good: bool
) -> None:
    mailbox.recipient, mailbox.content = recipient, content
    assert await why(mail(mailbox), message()) == (text, for_good)


async def test_a_mail_server_that_is_down_is_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"mailto://127.0.0.1:{taken.getsockname()[1]}/{{address}}?from=q2c@contoso.example"
        text, for_good = await why(sender(mail=url), message())
    assert text == "target mail: the mail server cannot be reached (ConnectionRefusedError)" and not for_good


async def test_encryption_is_asked_for_and_not_done_without(mailbox: Mailbox) -> None:
    url = f"mailtos://user:secret@127.0.0.1:{mailbox.port}/{{address}}?from=q2c@contoso.example"
    text, for_good = await why(sender(mail=url), message())
    assert text.startswith("target mail: the mail server cannot be reached") and not for_good
    assert mailbox.mails == [] and "secret" not in text


async def test_a_webhook_gets_subject_and_plain_text(hook: Hook) -> None:
    chat = sender(chat=f"json://127.0.0.1:{hook.port}/hook")
    await chat.send(message(notice(text="Packing slip S1.", kind=Kind.DEAL_SHIPPED, n=0), target="chat", address=""))
    (body,) = hook.bodies
    assert body["title"] == "Shipped: Q-1"
    assert f"{WEB}/cases/usmf/Q-1" in body["message"] and "Packing slip S1." in body["message"]
    assert "decide=" not in body["message"]


async def test_a_webhook_that_refuses_is_said_with_its_status_and_without_its_address(hook: Hook) -> None:
    hook.status = 502
    text, for_good = await why(sender(chat=f"json://127.0.0.1:{hook.port}/secret-path"), message(target="chat"))
    assert text == "target chat: answers 502" and not for_good


async def test_a_digest_names_what_waits_and_what_is_overdue(mailbox: Mailbox) -> None:
    waits = [WaitingRequest(company="usmf", quote_number=f"Q-{n}", n=1, due=AT, overdue=n == 1) for n in (1, 2)]
    await mail(mailbox).send(message(notices=(), digest=tuple(waits), left_out=3))
    (got,) = mailbox.mails
    assert got["subject"] == "2 waiting for your decision, 1 overdue"
    plain = got.get_body(("plain",))
    assert plain is not None and plain.get_content().count("OVERDUE") == 1
    assert f"And 3 more: {WEB}/" in plain.get_content()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("nonsense", "is not JSON"),
        ("[]", "must be an object"),
        ('{"Mail": "mailtos://a"}', "target 'Mail': is no name"),
        ('{"mail": 5}', "target mail: must be a URL"),
        ('{"mail": "carrier-pigeon://x"}', "target mail: is no address that Apprise understands"),
        ('{"mail": "mailto://smtp.contoso.example/{address}?from=a@b.example"}', "target mail: would be sent in clear"),
        ('{"chat": "json://hooks.contoso.example/x"}', "target chat: would be sent in clear"),
        ('{"chat": "jsons://hooks.contoso.example/x?verify=no"}', "target chat: verify=no is not allowed"),
        ('{"chat": "jsons://hooks.contoso.example/{address}"}', "target chat: {address} is for mail"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused_by_name_and_without_its_secret(text: str, wrong: str) -> None:
    with pytest.raises(TargetError) as refused:
        read_targets(text, is_loopback)
    assert wrong in str(refused.value) and "contoso" not in str(refused.value)


def test_teams_slack_and_mail_are_understood() -> None:
    found = read_targets(
        json.dumps(
            {
                "mail": "mailtos://q2c:secret@smtp.contoso.example/{address}?from=q2c@contoso.example",
                "teams": "workflows://prod-00.westeurope.logic.azure.com/643e69f83c8944/4GYKzYaHSjkZ/",
                "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
            }
        ),
        is_loopback,
    )
    assert {name: target.personal for name, target in found.items()} == {"mail": True, "teams": False, "slack": False}
    assert "secret" not in repr(found)
    assert read_targets(" ", is_loopback) == {}
    assert unknown({"mail", "sms"}, found) == ["sms"]
