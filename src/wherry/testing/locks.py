"""The contract of every implementation of locks, as checks that you can run against your own.

    from wherry.testing.locks import CHECKS, check_locks

    check_locks(MyLocks)  # all of them, each on new locks

or, with one test for each check:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_promise(check): check(MyLocks())

Rule 1: a check uses only the `Locks` protocol. Each implementation needs tests of its own for
what takes processes: that a lock ends with its process, and is kept while the process is stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from threading import Barrier

from wherry.locks import Locks, take_into

Check = Callable[[Locks], None]


def check_locks(make: Callable[[], Locks]) -> None:
    """Run every check on new locks from `make`. Raises `AssertionError`."""
    for check in CHECKS:
        check(make())


def a_lock_has_one_holder(locks: Locks) -> None:
    with _taken(locks, "line"):
        assert locks.take("line") is None
        assert locks.take("line") is None  # a refusal changes nothing
    with _taken(locks, "line"):
        pass


def different_names_are_different_locks(locks: Locks) -> None:
    with _taken(locks, "line"), _taken(locks, "leader"):
        assert locks.take("line") is None
    with _taken(locks, "leader"):
        pass


def an_item_has_one_holder(locks: Locks) -> None:
    if not locks.locks_items:
        return
    with _taken(locks, "completing/one"), _taken(locks, "completing/two"):
        assert locks.take("completing/one") is None
        assert locks.take("completing/two") is None
    with _taken(locks, "completing/one"):
        pass


def an_item_may_have_any_name(locks: Locks) -> None:
    with ExitStack() as held:
        for item in ("../up", "a/b", "with blanks", "ü" * 100, "\n"):
            held.enter_context(_taken(locks, f"completing/{item}"))


def without_item_locks_every_caller_gets_an_item(locks: Locks) -> None:
    if not locks.locks_items:
        with _taken(locks, "completing/one"), _taken(locks, "completing/one"):
            pass


def a_second_release_does_not_release_the_next_holder(locks: Locks) -> None:
    first = _taken(locks, "line")
    with first:
        pass
    with _taken(locks, "line"):
        first.__exit__(None, None, None)
        assert locks.take("line") is None


def one_of_many_threads_gets_the_lock(locks: Locks) -> None:
    threads = 8
    together = Barrier(threads)

    def take(_: int) -> AbstractContextManager[object] | None:
        together.wait(60)
        return locks.take("line")

    with ThreadPoolExecutor(threads) as pool:
        (held,) = [lock for lock in pool.map(take, range(threads)) if lock is not None]
        with held:
            pass
        # Released on this thread, it can be taken on another.
        again = pool.submit(locks.take, "line").result()
    assert again is not None
    with again:
        pass


def a_lock_ends_with_its_exit_stack(locks: Locks) -> None:
    with ExitStack() as one, ExitStack() as other:
        assert take_into(one, locks, "line")
        assert not take_into(other, locks, "line")
    with _taken(locks, "line"):
        pass


def a_holder_knows_that_it_has_the_lock(locks: Locks) -> None:
    with _taken(locks, "leader"):
        assert locks.holds("leader")


def an_empty_name_is_refused(locks: Locks) -> None:
    try:
        locks.take("")
    except ValueError:
        return
    raise AssertionError("the empty name was taken")


def _taken(locks: Locks, name: str) -> AbstractContextManager[object]:
    lock = locks.take(name)
    assert lock is not None, name
    return lock


CHECKS: tuple[Check, ...] = (
    a_lock_has_one_holder,
    different_names_are_different_locks,
    an_item_has_one_holder,
    an_item_may_have_any_name,
    without_item_locks_every_caller_gets_an_item,
    a_second_release_does_not_release_the_next_holder,
    one_of_many_threads_gets_the_lock,
    a_lock_ends_with_its_exit_stack,
    a_holder_knows_that_it_has_the_lock,
    an_empty_name_is_refused,
)
