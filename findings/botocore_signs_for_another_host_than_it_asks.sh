#!/usr/bin/env bash
# botocore signs addresses for another host than the one to which the same client sends its requests.
#
# Version: botocore 1.44.8. A client of a region other than us-east-1 sends requests to the endpoint of
# that region. `generate_presigned_url` of the same client names the global endpoint, with the signature
# of the region. As Amazon documents, that one redirects for a new bucket, and a browser does not follow the
# redirect of a PUT to another origin. With the addressing style "virtual" both are the same; for this
# bucket, that is what "auto" chooses as well.
# Seen: auto:    asks my-bucket.s3.eu-west-1.amazonaws.com, signs for my-bucket.s3.amazonaws.com
#       virtual: asks my-bucket.s3.eu-west-1.amazonaws.com, signs for my-bucket.s3.eu-west-1.amazonaws.com
set -euo pipefail
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet botocore==1.44.8
export AWS_ACCESS_KEY_ID=some AWS_SECRET_ACCESS_KEY=key AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
"$work/venv/bin/python" - <<'PYTHON'
from contextlib import suppress
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.session import Session


class NotSent(Exception):
    """In place of sending a request."""


def hosts(style: str) -> tuple[str, str]:
    """Where the client sends a request, which no network sees, and for which host it signs one."""
    config = Config(signature_version="s3v4", s3={"addressing_style": style})
    client = Session().create_client("s3", region_name="eu-west-1", config=config)
    asked = []

    def note(request, **_):
        asked.append(urlsplit(request.url).hostname)
        raise NotSent

    client.meta.events.register("before-send.s3.*", note)
    with suppress(NotSent):
        client.head_object(Bucket="my-bucket", Key="film.mp4")
    what = {"Bucket": "my-bucket", "Key": "film.mp4"}
    signed = urlsplit(client.generate_presigned_url("put_object", what)).hostname
    print(f"{style}: asks {asked[0]}, signs for {signed}")
    return asked[0], signed


asked, signed = hosts("auto")
assert asked == "my-bucket.s3.eu-west-1.amazonaws.com", asked
assert signed == "my-bucket.s3.amazonaws.com", "changed: it signs for the region"
assert len(set(hosts("virtual"))) == 1
PYTHON
