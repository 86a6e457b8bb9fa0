"""What a test of uploads needs, for Wherry's own tests and for yours.

storage   check_storage: what every storage promises
catalog   check_catalog: what every catalog promises
locks     check_locks: what all locks promise
memory    MemoryStorage, MemoryCatalog, MemoryLocks: all promises kept, without a disk
proxy     LimitingProxy: a proxy that refuses large bodies, with faults to order
nginx     a real nginx in front of a server
faults    crash_points: a run, crashed at every point of it
"""
