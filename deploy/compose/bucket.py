"""Make the bucket that the first argument names, unless it exists. Waits a minute for the store."""

from __future__ import annotations

import os
import sys
import time

from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.session import Session

#: How long the store may take to start, in seconds, and how long to wait between two attempts.
START_TIMEOUT, PAUSE = 60.0, 0.5


def make_bucket(name: str) -> None:
    client = Session().create_client("s3", endpoint_url=os.environ["WHERRY_S3_ENDPOINT"])
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            client.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {
                "BucketAlreadyExists",
                "BucketAlreadyOwnedByYou",
            }:
                raise
        except EndpointConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
            continue
        return


if __name__ == "__main__":
    make_bucket(sys.argv[1])
