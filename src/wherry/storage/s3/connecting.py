"""A client of botocore for the store."""

from __future__ import annotations

import os
from typing import Any

import botocore.session
from botocore.config import Config

from wherry.storage.s3.errors import translated

#: More connections than threads that wait for the store.
CONNECTIONS = 128
#: Seconds. A store may take long to put many parts together.
CONNECT_TIMEOUT, READ_TIMEOUT = 5, 90
#: How often a request is tried, with pauses that grow up to 20 s.
ATTEMPTS = 5


def connect(endpoint: str | None, profile: str | None) -> Any:
    """A client of botocore, with the credentials of its usual chain. Raises `OSError`."""
    with translated("connecting", endpoint or "s3"):
        session = botocore.session.Session(profile=profile)
        config = Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={
                # The store verifies a checksum of the bytes; TLS protects them on their way.
                "payload_signing_enabled": False,
                # With "auto", addresses would name the global endpoint, which redirects: browsers
                # do not follow that.
                "addressing_style": "path" if endpoint else "virtual",
            },
            user_agent_extra="wherry",
        )
        # botocore itself reads AWS_DEFAULT_REGION only.
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
        return session.create_client(
            "s3", region_name=region or "us-east-1", endpoint_url=endpoint or None, config=config
        )
