"""What every implementation of locks promises, as checks to run against your own.

    from wherry.testing.locks import CHECKS, check_locks

    check_locks(MyLocks)  # all of them, each on new locks

or, one test a promise:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_promise(check): check(MyLocks())

Rule 1: a check knows nothing but the `Locks` protocol. That a lock ends with its process,
and not while the process is stopped, is each implementation's own to prove.
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


def names_are_locks_of_their_own(locks: Locks) -> None:
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


def without_locks_of_items_every_caller_gets_them(locks: Locks) -> None:
    if not locks.locks_items:
        with _taken(locks, "completing/one"), _taken(locks, "completing/one"):
            pass


def a_lock_that_is_given_back_twice_is_given_back_once(locks: Locks) -> None:
    first = _taken(locks, "line")
    with first:
        pass
    with _taken(locks, "line"):
        first.__exit__(None, None, None)
        assert locks.take("line") is None


def of_many_threads_one_gets_the_lock(locks: Locks) -> None:
    threads = 8
    together = Barrier(threads)

    def take(_: int) -> AbstractContextManager[object] | None:
        together.wait(30)
        return locks.take("line")

    with ThreadPoolExecutor(threads) as pool:
        (held,) = [lock for lock in pool.map(take, range(threads)) if lock is not None]
        with held:
            pass
        # Given back on this thread, it can be taken on another.
        again = pool.submit(locks.take, "line").result()
    assert again is not None
    with again:
        pass


def a_lock_ends_with_the_stack_that_it_was_taken_into(locks: Locks) -> None:
    with ExitStack() as one, ExitStack() as other:
        assert take_into(one, locks, "line")
        assert not take_into(other, locks, "line")
    with _taken(locks, "line"):
        pass


def what_is_no_name_is_refused(locks: Locks) -> None:
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
    names_are_locks_of_their_own,
    an_item_has_one_holder,
    an_item_may_have_any_name,
    without_locks_of_items_every_caller_gets_them,
    a_lock_that_is_given_back_twice_is_given_back_once,
    of_many_threads_one_gets_the_lock,
    a_lock_ends_with_the_stack_that_it_was_taken_into,
    what_is_no_name_is_refused,
)
