"""Wherry's Python client: uploads large files in small requests.

from wherry.client import Client
result = Client("https://example.org/api").upload("talk.mp4")
"""

from wherry.client.answers import Assessment, UploadStatus
from wherry.client.asynchronous import AsyncClient
from wherry.client.early_verdict import EarlyFinding, EarlyVerdict
from wherry.client.errors import (
    Busy,
    BytesMissing,
    ClientError,
    ConnectionLost,
    FileChanged,
    GaveUp,
    NoRoom,
    NoSpace,
    NotAssessed,
    NotConnected,
    NotFound,
    Refused,
    ServerFailed,
    StoppedEarly,
    TimedOut,
    TooLarge,
    Unauthorized,
    UnexpectedAnswer,
    UploadGone,
    WorkerFails,
)
from wherry.client.progress import Progress, Result
from wherry.client.synchronous import Client

__all__ = [
    "Assessment",
    "AsyncClient",
    "Busy",
    "BytesMissing",
    "Client",
    "ClientError",
    "ConnectionLost",
    "EarlyFinding",
    "EarlyVerdict",
    "FileChanged",
    "GaveUp",
    "NoRoom",
    "NoSpace",
    "NotAssessed",
    "NotConnected",
    "NotFound",
    "Progress",
    "Refused",
    "Result",
    "ServerFailed",
    "StoppedEarly",
    "TimedOut",
    "TooLarge",
    "Unauthorized",
    "UnexpectedAnswer",
    "UploadGone",
    "UploadStatus",
    "WorkerFails",
]
