"""The processing: a Celery task for each upload, and a record of it that both sides see.

Rule 1: the upload's id is the task's id and the record's key. Whatever is asked for or
delivered twice, it is one record, and what is done is not done again.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery
from celery.utils.log import get_task_logger

log = get_task_logger(__name__)

DATA = Path(os.environ.get("APP_DATA", "data")).absolute()
BROKER = os.environ.get("BROKER", "filesystem://")  # redis://…, amqp://… in production

#: What each kind of broker must be told.
TRANSPORT = {
    # For trying out: a message that a worker has taken is lost if that worker dies.
    "filesystem": {
        "data_folder_in": str(DATA / "broker"),
        "data_folder_out": str(DATA / "broker"),
        "control_folder": str(DATA / "broker-control"),
    },
    # Longer than the longest video takes: Redis gives a task that is not acknowledged by
    # then to a second worker, although the first one is at it.
    "redis": {"visibility_timeout": 12 * 3600},
}

for folder in (DATA / "broker", DATA / "broker-control"):
    folder.mkdir(parents=True, exist_ok=True)

celery = Celery("tasks", broker=BROKER)
celery.conf.update(
    broker_transport_options=TRANSPORT.get(BROKER.partition(":")[0], {}),
    task_acks_late=True,  # acknowledged when it is done, not when it begins
    task_reject_on_worker_lost=True,  # a worker that is killed gives its task back
    worker_prefetch_multiplier=1,  # long tasks wait at the broker, not behind another one
    task_ignore_result=True,  # the record has it
)


@contextmanager
def records() -> Iterator[sqlite3.Connection]:
    """The application's records; what the block changes is kept if it ends well."""
    connection = sqlite3.connect(DATA / "jobs.sqlite")
    try:
        with connection:
            yield connection
    finally:
        connection.close()


with records() as _connection:
    _connection.execute(
        "CREATE TABLE IF NOT EXISTS jobs"
        " (id TEXT PRIMARY KEY, owner TEXT, video TEXT, state TEXT DEFAULT 'queued', sha256 TEXT)"
    )


@celery.task
def process(job_id: str) -> None:
    """May be delivered twice; what is done already is left as it is."""
    with records() as connection:
        video, state = connection.execute(
            "SELECT video, state FROM jobs WHERE id = ?", (job_id,)
        ).fetchone()
    if state == "done":
        return
    with Path(video).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    with records() as connection:
        connection.execute(
            "UPDATE jobs SET state = 'done', sha256 = ? WHERE id = ? AND state != 'done'",
            (sha256, job_id),
        )
    log.info("processed %s", job_id)
