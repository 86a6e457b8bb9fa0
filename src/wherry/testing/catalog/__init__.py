"""What every catalog promises, as checks that anybody can run against their own.

    from wherry.testing.catalog import CHECKS, check_catalog

    asyncio.run(check_catalog(MyCatalog))  # all of them, each on a new, empty catalog

or, one test a promise:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_promise(check): ...

Rule 1: a check knows nothing but the `Catalog` protocol, and leaves the catalog
open. What survives a crash needs processes, and is each catalog's own to prove.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from wherry.catalog import Catalog
from wherry.testing.catalog import admission, assessments, changes, lists, records
from wherry.testing.catalog.scene import PATIENCE

Check = Callable[[Catalog], Awaitable[None]]

CHECKS: tuple[Check, ...] = (
    records.the_newest_moment_is_known,
    records.what_is_recorded_is_what_is_loaded,
    records.what_is_recorded_of_an_assessment_is_what_is_loaded,
    records.what_is_unknown_is_said_to_be,
    records.uploads_are_listed_oldest_first,
    records.what_is_forgotten_is_gone_with_all_it_had,
    records.used_are_the_files_that_are_there,
    records.used_counts_what_was_moved_away_by_completion_as_gone,
    lists.pages_join_to_the_whole_list,
    lists.a_page_begins_where_the_last_one_ended_whatever_came_and_went,
    lists.a_page_with_many_parts_ends_early,
    lists.assessments_are_listed_in_pages,
    lists.due_is_what_is_old_or_seems_to_come_from_the_future,
    lists.due_files_are_there_and_needed_no_more,
    lists.due_records_are_in_the_order_in_which_their_files_went,
    changes.a_change_that_raises_changes_nothing,
    changes.one_that_raises_does_not_disturb_the_others,
    changes.many_changes_of_one_upload_lose_none,
    changes.changes_are_made_in_the_order_they_were_asked,
    changes.a_lease_that_was_taken_over_records_nothing,
    changes.a_caller_that_goes_away_harms_nobody,
    changes.reading_does_not_wait_for_a_change,
    admission.the_line_counts_what_is_open_and_reserved,
    admission.a_slot_that_no_setting_allows_is_over,
    admission.who_is_open_is_named_to_those_who_wait,
    admission.an_upload_waits_in_the_queue_until_it_is_admitted,
    admission.unused_are_those_that_were_admitted_and_sent_nothing,
    admission.no_two_take_the_last_place,
    admission.an_advance_that_raises_lets_nobody_in,
    admission.the_same_file_again_is_the_same_upload,
    assessments.completion_queues_one_assessment,
    assessments.an_assessment_has_one_worker,
)


async def check_catalog(make: Callable[[], Catalog]) -> None:
    """Run every check on a new catalog from `make`. Raises `AssertionError`."""
    for check in CHECKS:
        catalog = make()
        try:
            with anyio.fail_after(PATIENCE):
                await check(catalog)
        finally:
            await catalog.close()
            await catalog.close()
