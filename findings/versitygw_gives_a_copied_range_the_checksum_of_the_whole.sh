#!/usr/bin/env bash
# versitygw gives a copied range the checksum of the whole source, so the object that is made of it cannot be read.
#
# Version: versitygw 1.8.0 (Go), posix backend; boto3 1.44.8 (PyPI). UploadPartCopy with CopySourceRange, into a multipart
# upload whose checksum is CRC64NVME of the full object. Each answer has the CRC of the source object, and not that of the
# range. The completion succeeds, and the object has a checksum that its bytes do not have, so boto3 refuses to read it; the
# same if the ranges together are all of the source. Without a checksum at CreateMultipartUpload, the ranges are the right
# object.
# Seen: one: CRC the source's, complete, and boto3 refuses to read it; two: the same; two without checksums: complete
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -r "$work"' EXIT
GOBIN=$work GOFLAGS=-modcacherw go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet boto3==1.44.8 awscrt==0.38.1
mkdir "$work/data"
cat > "$work/run.py" <<'PYTHON'
import os, socket, subprocess, sys, time
import boto3
from botocore.exceptions import ClientError, FlexibleChecksumError

work = sys.argv[1]
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
os.environ.update(ROOT_ACCESS_KEY="key", ROOT_SECRET_KEY="secret")
server = subprocess.Popen([f"{work}/versitygw", "--port", f"127.0.0.1:{port}", "--quiet", "posix", f"{work}/data"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id="key",
                      aws_secret_access_key="secret", region_name="us-east-1")
    for _ in range(100):
        try:
            s3.create_bucket(Bucket="films")
            break
        except Exception:
            time.sleep(0.1)
    MiB = 1 << 20
    body = os.urandom(8 * MiB)
    source = s3.put_object(Bucket="films", Key="source", Body=body, ChecksumAlgorithm="CRC64NVME")["ChecksumCRC64NVME"]

    def copied(*ranges, checked=True):
        more = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"} if checked else {}
        made = s3.create_multipart_upload(Bucket="films", Key="copy", **more)["UploadId"]
        parts, said = [], set()
        for number, (begin, end) in enumerate(ranges, 1):
            result = s3.upload_part_copy(
                Bucket="films", Key="copy", UploadId=made, PartNumber=number,
                CopySource={"Bucket": "films", "Key": "source"}, CopySourceRange=f"bytes={begin}-{end - 1}",
            )["CopyPartResult"]
            part = {"PartNumber": number, "ETag": result["ETag"]}
            if checked:
                part["ChecksumCRC64NVME"] = result["ChecksumCRC64NVME"]
                said.add("the source's" if result["ChecksumCRC64NVME"] == source else "its own")
            parts.append(part)
        crc = f"CRC {' and '.join(sorted(said))}, " if said else ""
        try:
            s3.complete_multipart_upload(Bucket="films", Key="copy", UploadId=made, MultipartUpload={"Parts": parts})
            read = s3.get_object(Bucket="films", Key="copy")["Body"].read()
        except ClientError as error:
            return crc + error.response["Error"]["Code"]
        except FlexibleChecksumError:
            return crc + "complete, and boto3 refuses to read it"
        wanted = b"".join(body[begin:end] for begin, end in ranges)
        return crc + ("complete" if read == wanted else "other bytes")

    one, two = (0, 5 * MiB), (5 * MiB, 8 * MiB)
    first, second = copied(one), copied(one, two)
    second = "the same" if second == first else second
    print(f"one: {first}; two: {second}; two without checksums: {copied(one, two, checked=False)}")
finally:
    server.kill()
    server.wait()
PYTHON
seen=$("$work/venv/bin/python" "$work/run.py" "$work")
echo "$seen"
[ "$seen" = "one: CRC the source's, complete, and boto3 refuses to read it; two: the same; two without checksums: complete" ]
