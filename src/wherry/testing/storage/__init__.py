"""The contract of every storage, as checks that you can run against your own.

    from wherry.testing.storage import CHECKS, check_storage

    check_storage(MyStorage)  # all of them, each on a new, empty storage

or, with one test for each check:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_promise(check): check(MyStorage())

Rule 1: a check uses only the `Storage` protocol. Each storage needs tests of its own for what
survives a crash.

Rule 2: no check fills a disk that may be in use. What happens on a full disk is checked only if
the whole volume of the storage is smaller than `SMALL`.
"""

from __future__ import annotations

from collections.abc import Callable

from wherry.storage import Storage
from wherry.testing.storage import arrivals, copies, finished, pictures, unfinished, volume

Check = Callable[[Storage], None]

CHECKS: tuple[Check, ...] = (
    unfinished.a_finished_file_has_the_written_bytes,
    unfinished.many_threads_can_write_at_once,
    unfinished.an_unfinished_file_can_be_read,
    unfinished.an_unfinished_file_can_be_read_while_bytes_are_to_come,
    unfinished.an_unfinished_file_needs_all_its_bytes,
    unfinished.reserving_again_keeps_the_bytes,
    finished.an_empty_file_can_be_finished,
    finished.a_reservation_longer_than_the_file_is_cut,
    finished.a_reservation_shorter_than_the_file_is_never_finished,
    finished.finishing_again_gives_the_same_file,
    unfinished.an_unknown_upload_has_vanished,
    finished.a_linked_file_is_there_under_both_names_until_one_is_deleted,
    finished.a_linked_file_can_be_taken_back,
    finished.a_linked_file_is_finished_like_any_other,
    finished.what_cannot_be_finished_cannot_be_linked,
    finished.another_file_of_its_name_is_never_taken_for_the_upload,
    finished.of_two_files_of_a_length_the_one_with_the_name_keeps_it,
    finished.a_finished_upload_accepts_no_bytes,
    unfinished.the_head_is_the_first_bytes,
    unfinished.a_range_has_one_writer,
    finished.a_finished_file_reports_its_size_and_time,
    unfinished.a_writer_stays_in_its_range,
    unfinished.deleting_removes_all_unfinished_bytes,
    finished.deleting_keeps_the_finished_file,
    unfinished.a_deleted_upload_cannot_be_synced,
    finished.discarding_removes_the_finished_file,
    finished.a_file_can_be_read_in_any_range,
    finished.a_file_is_downloaded_whole_or_not_at_all,
    finished.a_missing_file_is_not_found,
    finished.a_local_path_has_the_same_bytes,
    copies.copied_bytes_make_a_whole_file,
    copies.a_copy_needs_both_uploads,
    arrivals.a_file_that_is_put_is_finished,
    arrivals.a_file_that_is_dropped_leaves_nothing,
    arrivals.a_file_is_listed_until_it_is_kept,
    arrivals.what_a_process_left_is_reclaimed_when_it_has_died,
    arrivals.of_a_file_that_is_dropped_the_recorded_name_stays,
    arrivals.nothing_is_put_where_the_upload_has_bytes,
    pictures.a_picture_is_kept_and_replaced,
    pictures.pictures_are_deleted_with_their_assessment,
    pictures.picture_names_cannot_leave_the_storage,
    unfinished.unfinished_uploads_are_listed_with_their_last_change,
    volume.names_cannot_leave_the_storage,
    volume.the_volume_has_a_size,
    volume.checking_again_changes_nothing,
    volume.a_full_volume_raises_disk_full_and_keeps_nothing,
)


def check_storage(make: Callable[[], Storage]) -> None:
    """Run every check on a new storage from `make`. Raises `AssertionError`."""
    for check in CHECKS:
        storage = make()
        storage.check()
        check(storage)
