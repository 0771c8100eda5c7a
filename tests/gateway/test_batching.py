"""Natural batching: a lone item at once, items that arrive meanwhile together, and batches apart if asked."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.batching import Batcher

APART = 0.02


async def test_items_submitted_during_a_batch_form_the_next_one() -> None:
    batches: list[list[int]] = []
    go = asyncio.Event()

    async def work(items: Sequence[int]) -> Sequence[int | BaseException]:
        batches.append(list(items))
        await go.wait()
        return [ValueError("odd") if item % 2 else item for item in items]

    batcher: Batcher[int, int] = Batcher(work, most=3)
    futures = [batcher.submit(0)]
    await asyncio.sleep(0)
    futures += [batcher.submit(item) for item in range(1, 6)]
    go.set()
    answers = await asyncio.gather(*futures, return_exceptions=True)

    assert batches == [[0], [1, 2, 3], [4, 5]]
    assert [answer for answer in answers if isinstance(answer, int)] == [0, 2, 4]
    assert [str(answer) for answer in answers if not isinstance(answer, int)] == ["odd"] * 3


@pytest.mark.parametrize(("most", "wanted"), [(100, [1, 9]), (4, [1, 4, 4, 1])])
async def test_batches_wait_apart_unless_full(most: int, wanted: list[int]) -> None:
    loop, sizes, began = asyncio.get_running_loop(), list[int](), list[float]()

    async def work(items: Sequence[int]) -> Sequence[int | BaseException]:
        sizes.append(len(items))
        began.append(loop.time())
        return list(items)

    batcher: Batcher[int, int] = Batcher(work, most=most, apart=APART)
    await batcher.submit(0)
    await asyncio.gather(*(batcher.submit(item) for item in range(1, 10)))

    assert sizes == wanted
    assert most != 100 or began[1] - began[0] >= APART * 0.99
