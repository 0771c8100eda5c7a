"""One thread of a process works; a request that comes meanwhile is not lost, and holds no second thread."""

from threading import Event, Thread

import pytest

from outbox.single_flight import SingleFlight

WAIT_SECONDS = 30


def test_request_during_a_run_returns_at_once_and_is_served_by_one_more_run() -> None:
    flight, started, go_on = SingleFlight(), Event(), Event()
    runs: list[int] = []

    def work() -> int:
        runs.append(len(runs))
        started.set()
        assert go_on.wait(WAIT_SECONDS)
        return 1

    done: list[int] = []
    thread = Thread(target=lambda: done.append(flight.run(work)))
    thread.start()
    assert started.wait(WAIT_SECONDS)

    assert [flight.run(work), flight.run(work)] == [0, 0]
    go_on.set()
    thread.join(WAIT_SECONDS)

    assert done == [2], "the run that was going on, and one for both requests"


def test_failing_run_leaves_the_flight_free_for_the_next() -> None:
    flight = SingleFlight()

    with pytest.raises(ZeroDivisionError):
        flight.run(lambda: 1 // 0)

    assert flight.run(lambda: 3) == 3
