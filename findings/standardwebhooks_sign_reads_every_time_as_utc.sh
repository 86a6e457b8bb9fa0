#!/usr/bin/env bash
# The Python library of Standard Webhooks signs the local time of a datetime as if it were UTC.
#
# Version: standardwebhooks 1.1.0. `Webhook.sign` takes the timestamp as a datetime, and replaces its
# zone by UTC instead of converting it. Of an aware datetime in another zone, it signs another number
# of seconds than the moment has. A receiver that gets the right number in the header
# webhook-timestamp refuses the signature. Two datetimes that are equal are signed differently.
# Seen: the same moment in UTC: verified
#       the same moment at +02:00: No matching signature found
set -euo pipefail
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet standardwebhooks==1.1.0
"$work/venv/bin/python" - <<'PYTHON'
import time
from datetime import UTC, datetime, timedelta, timezone

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook("whsec_c2VjcmV0IG9mIHRoaXMgc2NyaXB0LCAzMiBieXRlcy4u")
seconds = int(time.time())
in_utc = datetime.fromtimestamp(seconds, UTC)
in_athens = in_utc.astimezone(timezone(timedelta(hours=2)))
assert in_utc == in_athens


def is_verified(moment: datetime) -> bool:
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(seconds),
        "webhook-signature": webhook.sign("msg_1", moment, "{}"),
    }
    try:
        webhook.verify("{}", headers)
    except WebhookVerificationError as error:
        print(f"{moment.isoformat()}: {error}")
        return False
    print(f"{moment.isoformat()}: verified")
    return True


assert is_verified(in_utc)
assert not is_verified(in_athens), "fixed: an aware datetime is converted"
PYTHON
