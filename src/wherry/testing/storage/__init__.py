"""What every storage promises, as checks that anybody can run against their own.

    from wherry.testing.storage import CHECKS, check_storage

    check_storage(MyStorage)  # all of them, each on a new, empty storage

or, one test a promise:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_promise(check): check(MyStorage())

Rule 1: a check knows nothing but the `Storage` protocol. What survives a crash
is each storage's own to prove.

Rule 2: no check fills a disk that others use. What happens on a full one is
checked where the storage's whole volume is smaller than `SMALL`.
"""

from __future__ import annotations

from collections.abc import Callable

from wherry.storage import Storage
from wherry.testing.storage import finished, pictures, unfinished, volume

Check = Callable[[Storage], None]

CHECKS: tuple[Check, ...] = (
    unfinished.what_was_written_is_what_is_finished,
    unfinished.many_threads_write_at_once,
    unfinished.all_bytes_can_be_read_before_they_are_finished,
    unfinished.what_is_missing_is_not_shown_as_a_file,
    unfinished.reserving_again_keeps_what_is_there,
    finished.an_empty_file_is_a_file,
    finished.a_reservation_longer_than_the_file_is_cut,
    finished.a_reservation_shorter_than_the_file_is_never_finished,
    finished.finishing_again_gives_the_same_file,
    unfinished.what_was_never_there_has_vanished,
    finished.what_is_finished_takes_no_byte,
    unfinished.the_head_is_the_beginning,
    unfinished.a_range_has_one_writer,
    finished.a_finished_file_is_known_to_be_there_or_not,
    unfinished.a_writer_stays_in_its_range,
    unfinished.deleting_removes_everything,
    finished.deleting_spares_the_finished_file,
    unfinished.a_deleted_upload_cannot_be_synced,
    finished.discarding_removes_the_finished_file,
    finished.a_file_is_read_in_any_range,
    finished.a_file_is_downloaded_whole_or_not_at_all,
    finished.a_file_that_is_gone_is_not_found,
    finished.a_local_path_leads_to_the_same_bytes,
    pictures.a_picture_is_kept_and_replaced,
    pictures.pictures_are_deleted_with_their_assessment,
    pictures.no_name_of_a_picture_leaves_the_storage,
    unfinished.the_unfinished_are_listed_with_their_last_change,
    volume.no_name_leaves_the_storage,
    volume.the_volume_has_a_size,
    volume.checking_again_changes_nothing,
    volume.a_full_volume_says_so_and_keeps_nothing,
)


def check_storage(make: Callable[[], Storage]) -> None:
    """Run every check on a new storage from `make`. Raises `AssertionError`."""
    for check in CHECKS:
        storage = make()
        storage.check()
        check(storage)
