#!/usr/bin/env bash
# versitygw answers the second request to complete an upload with 200 while no object is there yet.
#
# Version: versitygw 1.8.0, backend "posix", a Go module; asked by botocore 1.44.8, with awscrt for CRC-64. A client
# whose first CompleteMultipartUpload got no answer sends it again. While the server still puts the parts together for
# the first request, it answers the second one with 200 and an ETag at once. At that moment, HEAD says
# that there is no object, and ListParts that there is no such upload: to one who asks, the file seems lost.
# The answer to the first request has ChecksumCRC64NVME, the one to the second has not. Amazon S3 documents
# 200 for an upload that has been completed, and strong consistency of what comes after it.
# Seen: the second request: 200, checksum: False; then HEAD: 404, ListParts: NoSuchUpload; at the end, HEAD: 200
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; chmod -R u+w "$work"; rm -r "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "botocore[crt]==1.44.8"
GOPATH="$work/go" GOBIN="$work/bin" go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
mkdir "$work/objects"
port=$("$work/venv/bin/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
export AWS_ACCESS_KEY_ID=some AWS_SECRET_ACCESS_KEY=key AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
ROOT_ACCESS_KEY=some ROOT_SECRET_KEY=key "$work/bin/versitygw" --port "127.0.0.1:$port" --quiet posix "$work/objects" &
server=$!
"$work/venv/bin/python" - "http://127.0.0.1:$port" <<'PYTHON'
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.session import Session

PARTS, PART = 60, bytes(5 * 1024 * 1024)
config = Config(retries={"total_max_attempts": 1}, read_timeout=300)
s3 = Session().create_client("s3", region_name="us-east-1", endpoint_url=sys.argv[1], config=config)
for _ in range(200):
    try:
        s3.create_bucket(Bucket="films")
        break
    except EndpointConnectionError:
        time.sleep(0.1)


def code(ask, **what) -> str:
    try:
        return str(ask(Bucket="films", **what)["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as error:
        return error.response["Error"]["Code"]


def race(key: str) -> tuple[str, str] | None:
    """What HEAD and ListParts say right after the second request; None if the first was quicker."""
    whole = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    upload = s3.create_multipart_upload(Bucket="films", Key=key, **whole)["UploadId"]
    ours = {"Key": key, "UploadId": upload}
    parts = []
    for number in range(1, PARTS + 1):
        part = {"PartNumber": number, "Body": PART, "ChecksumAlgorithm": "CRC64NVME"}
        answer = s3.upload_part(Bucket="films", **ours, **part)
        told = {name: answer[name] for name in ("ETag", "ChecksumCRC64NVME")}
        parts.append({"PartNumber": number, **told})

    def complete() -> dict:
        return s3.complete_multipart_upload(Bucket="films", **ours, MultipartUpload={"Parts": parts})

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(complete)
        while code(s3.list_parts, **ours) == "200" and not first.done():
            pass
        second = complete()
        head, listed = code(s3.head_object, Key=key), code(s3.list_parts, **ours)
        assert "ChecksumCRC64NVME" in first.result()
    assert code(s3.head_object, Key=key) == "200"
    if head == "200":
        return None
    print(f"the second request: 200, checksum: {'ChecksumCRC64NVME' in second}; then HEAD: {head}, ListParts: {listed}; at the end, HEAD: 200")
    assert "ChecksumCRC64NVME" not in second
    return head, listed


for number in range(10):
    if seen := race(f"film-{number}.mp4"):
        assert seen == ("404", "NoSuchUpload"), seen
        break
else:
    sys.exit("changed: the object was always there")
PYTHON
