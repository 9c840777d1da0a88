"""Waking those who wait, without polling."""

import asyncio
from collections.abc import Callable


class Pulse:
    """Wakes everyone who waits at the moment of a beat, in the order in which they came."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def beat(self) -> None:
        """Wake everyone. Who comes later waits for the next beat."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait_until(self, condition: Callable[[], bool], seconds: float | None = None) -> None:
        """Return once `condition` holds, which is looked at now and after each beat, or once `seconds` have passed."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._event.wait()
        except TimeoutError:
            return
