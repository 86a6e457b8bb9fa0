"""Tools for tests of uploads: Wherry's own tests use them, and yours can.

storage   check_storage: the contract of every storage
catalog   check_catalog: the contract of every catalog
locks     check_locks: the contract of all locks
memory    MemoryStorage, MemoryCatalog, MemoryLocks: backends without a disk
proxy     LimitingProxy: a proxy that refuses large bodies and injects faults
nginx     a real nginx in front of a server
apache    a real Apache httpd in front of a server
server    Server: `wherry serve` in a process that a test can kill
faults    crash_points: repeats a run and crashes it at every call
video     make_video: real videos with planted events, and ways to damage them
"""
