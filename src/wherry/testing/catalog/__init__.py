"""The contract of every catalog, as checks that you can run against your own.

    from wherry.testing.catalog import CHECKS, check_catalog

    asyncio.run(check_catalog(MyCatalog))  # all of them, each on a new, empty catalog

or, with one test for each check:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_promise(check): ...

Rule 1: a check uses only the `Catalog` protocol, and leaves the catalog open. Each catalog needs
tests of its own for what survives a crash, because they take processes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from wherry.catalog import Catalog
from wherry.testing.catalog import (
    admission,
    assessments,
    changes,
    deliveries,
    lists,
    paths,
    rates,
    records,
    threads,
    tickets,
)
from wherry.testing.catalog.fixtures import CHECK_TIMEOUT

Check = Callable[[Catalog], Awaitable[None]]

CHECKS: tuple[Check, ...] = (
    records.the_newest_time_is_known,
    records.a_recorded_upload_is_loaded_unchanged,
    records.a_recorded_assessment_is_loaded_unchanged,
    records.unknown_records_are_not_found,
    records.uploads_are_listed_oldest_first,
    records.forgetting_an_upload_removes_all_its_records,
    records.used_space_counts_all_existing_bytes,
    records.used_space_leaves_out_files_that_the_application_moved,
    records.a_catalog_belongs_to_the_storage_that_came_first,
    lists.pages_add_up_to_the_whole_list,
    lists.the_next_page_is_right_when_records_come_and_go,
    lists.a_page_with_many_parts_ends_early,
    lists.assessments_are_listed_in_pages,
    lists.due_uploads_are_old_or_dated_in_the_future,
    lists.due_files_exist_and_are_no_longer_needed,
    lists.due_records_are_in_the_order_of_their_files_deletion,
    changes.a_change_that_raises_changes_nothing,
    changes.a_change_that_raises_does_not_affect_others,
    changes.concurrent_changes_of_one_upload_are_all_kept,
    changes.changes_are_made_in_the_order_of_their_calls,
    changes.parts_that_grow_or_merge_in_one_change_are_recorded_as_they_are_then,
    changes.a_lost_lease_records_nothing,
    changes.a_cancelled_caller_does_not_affect_others,
    changes.reading_does_not_wait_for_a_change,
    admission.the_queue_counts_open_uploads_and_reserved_bytes,
    admission.a_slot_longer_than_the_settings_allow_is_over,
    admission.open_uploads_are_listed_while_others_wait,
    admission.an_upload_waits_in_the_queue_until_it_is_admitted,
    admission.unused_uploads_were_admitted_and_sent_nothing,
    admission.concurrent_admissions_keep_every_limit,
    admission.an_advance_that_raises_admits_no_upload,
    admission.the_same_file_again_gives_the_same_upload,
    threads.an_upload_that_arrived_is_recorded_with_its_assessment,
    threads.an_arrival_that_the_check_refuses_is_not_recorded,
    threads.an_arrival_of_a_file_that_is_on_its_way_is_that_upload,
    threads.an_upload_is_read_around_a_range,
    threads.a_change_is_submitted_by_a_thread,
    assessments.completion_queues_one_assessment,
    assessments.an_assessment_has_one_worker,
    deliveries.a_completion_records_one_delivery_for_each_endpoint,
    deliveries.a_change_that_completes_nothing_records_no_delivery,
    deliveries.a_file_that_arrives_at_once_records_a_delivery,
    deliveries.an_assessment_that_ends_records_a_delivery,
    deliveries.without_an_outbox_there_are_no_deliveries,
    deliveries.a_recorded_delivery_is_loaded_unchanged,
    deliveries.a_delivery_has_one_sender,
    deliveries.deliveries_are_taken_when_they_are_due,
    deliveries.deliveries_are_listed_by_date_and_state,
    deliveries.deliveries_outlive_their_upload_until_they_are_forgotten,
    deliveries.deliveries_are_counted,
    paths.a_recorded_path_is_loaded_unchanged,
    paths.a_path_that_a_change_leaves_out_is_gone,
    paths.a_change_of_paths_that_raises_changes_nothing,
    paths.concurrent_changes_of_paths_are_all_kept,
    assessments.the_highest_priority_is_leased_first_and_then_the_oldest,
    assessments.no_more_assessments_are_leased_than_may_run_at_once,
    rates.what_is_used_is_counted_for_each_key,
    rates.what_is_used_at_the_same_time_stays_within_the_rate,
    rates.a_count_that_cannot_be_changed_stays,
    rates.counts_are_forgotten_when_they_have_expired,
    tickets.a_recorded_ticket_is_loaded_unchanged,
    tickets.an_upload_uses_its_ticket_when_it_begins,
    tickets.a_file_that_arrives_at_once_uses_its_ticket,
    tickets.the_last_use_of_a_ticket_is_taken_once,
    tickets.an_upload_that_ends_without_a_file_gives_its_use_back,
    tickets.a_ticket_that_is_of_no_use_begins_nothing,
    tickets.a_change_of_a_ticket_keeps_what_is_used_of_it,
    tickets.the_same_file_is_another_upload_for_another_ticket,
    tickets.tickets_are_listed_by_their_age,
    tickets.tickets_are_forgotten_when_they_have_expired,
)


async def check_catalog(make: Callable[[], Catalog]) -> None:
    """Run every check on a new catalog from `make`. Raises `AssertionError`."""
    for check in CHECKS:
        catalog = make()
        try:
            with anyio.fail_after(CHECK_TIMEOUT):
                await check(catalog)
        finally:
            await catalog.close()
            await catalog.close()
