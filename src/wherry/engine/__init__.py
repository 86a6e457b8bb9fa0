"""The upload engine: one method for each thing a client may ask.

Rule 1: bytes before records. The catalog never claims a byte that storage has
not made safe, so a crash at any line can lose work, but leaves no false record.

Rule 2: decisions are `Upload`'s; the engine only puts them in order.

Rule 3: every verb takes the caller, and every protocol goes through here: an
owner check, a limit, a state rule is written once and holds for all.
"""

from wherry.engine.context import Context
from wherry.engine.direct_parts import AddressedPart
from wherry.engine.early_verdicts import Looks
from wherry.engine.engine import Engine
from wherry.engine.finished import FinishedFile, NoLocalPath
from wherry.engine.hooks import BeforeComplete, Hooks, OnComplete, Priority
from wherry.engine.receipts import SigningKey
from wherry.engine.sweeping import Swept
from wherry.engine.watching import Overview, StorageFacts
from wherry.storage import Stat, StoredFile

__all__ = [
    "AddressedPart",
    "BeforeComplete",
    "Context",
    "Engine",
    "FinishedFile",
    "Hooks",
    "Looks",
    "NoLocalPath",
    "OnComplete",
    "Overview",
    "Priority",
    "SigningKey",
    "Stat",
    "StorageFacts",
    "StoredFile",
    "Swept",
]
