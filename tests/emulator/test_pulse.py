import asyncio

from podworker.emulator.pulse import Pulse
from tests.emulator.waiting import until


async def test_returns_at_once_if_the_condition_holds() -> None:
    await Pulse().wait_until(lambda: True)


async def test_a_beat_wakes_all_in_order_and_each_looks_again() -> None:
    pulse, order, tokens = Pulse(), list[int](), list[str]()

    async def wait(number: int) -> None:
        await pulse.wait_until(lambda: bool(tokens))
        tokens.pop()
        order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(wait(number))
        await asyncio.sleep(0)
        for _ in range(3):
            tokens.append("token")
            pulse.beat()
            await until(lambda: not tokens)
    assert order == [0, 1, 2]


async def test_gives_up_after_its_time() -> None:
    await Pulse().wait_until(lambda: False, 0.01)
