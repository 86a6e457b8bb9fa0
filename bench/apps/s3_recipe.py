"""The usual recipe for large uploads with FastAPI and S3: each chunk is a part.

Each chunk is a form with a file, which the application hands on to a multipart upload. The client
of botocore is as `boto3.client("s3")` makes it. The functions are not coroutines, so that the calls
do not block the event loop.
"""

import os
from typing import Annotated, Any
from uuid import uuid4

import botocore.session
from fastapi import FastAPI, Form, UploadFile
from pydantic import BaseModel

app = FastAPI()
bucket = os.environ["BENCH_BUCKET"]
s3 = botocore.session.get_session().create_client("s3", endpoint_url=os.environ["BENCH_ENDPOINT"])
uploads: dict[str, tuple[str, dict[int, str]]] = {}


class Complete(BaseModel):
    upload_id: str


@app.post("/init")
def init() -> dict[str, str]:
    key = f"recipe/{uuid4().hex}"
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    uploads[upload_id] = key, {}
    return {"upload_id": upload_id}


@app.post("/chunk")
def chunk(
    upload_id: Annotated[str, Form()], index: Annotated[int, Form()], file: UploadFile
) -> dict[str, int]:
    key, parts = uploads[upload_id]
    number = index + 1
    answer = s3.upload_part(
        Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=file.file.read()
    )
    parts[number] = answer["ETag"]
    return {"index": index}


@app.post("/complete")
def complete(what: Complete) -> dict[str, Any]:
    key, parts = uploads.pop(what.upload_id)
    listed = [{"PartNumber": number, "ETag": parts[number]} for number in sorted(parts)]
    s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=what.upload_id, MultipartUpload={"Parts": listed}
    )
    return {"key": key}
