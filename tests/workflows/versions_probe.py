"""A process that ends and one that does not, each in two builds, named as those of the product are."""

from __future__ import annotations

from temporalio import activity, workflow

from runs import names


@activity.defn(name="nothing")
async def nothing() -> None:
    """A queue is polled only for something."""


class Waiting:
    """Waits for a signal, then says on which build it went on."""

    build = ""

    def __init__(self) -> None:
        self._gone = False

    @workflow.signal
    def go(self, _said: str) -> None:
        self._gone = True

    async def _goes(self) -> str:
        await workflow.wait_condition(lambda: self._gone)
        return self.build


@workflow.defn(name=names.QUOTE_TO_CASH)
class DealOne(Waiting):
    build = "one"

    @workflow.run
    async def run(self, _start: str) -> str:
        return await self._goes()


@workflow.defn(name=names.QUOTE_TO_CASH)
class DealTwo(Waiting):
    build = "two"

    @workflow.run
    async def run(self, _start: str) -> str:
        return await self._goes()


@workflow.defn(name=names.SALES_FEED)
class FeedOne(Waiting):
    build = "one"

    @workflow.run
    async def run(self, _start: str) -> str:
        return await self._goes()


@workflow.defn(name=names.SALES_FEED)
class FeedTwo(Waiting):
    build = "two"

    @workflow.run
    async def run(self, _start: str) -> str:
        return await self._goes()
