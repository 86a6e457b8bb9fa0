"""A storage, a catalog and locks in memory, for tests that need no disk.

They keep every promise of the contract suites (`check_storage`, `check_catalog`,
`check_locks`), except that what they hold ends with the process.

    from wherry.testing.memory.catalog import MemoryCatalog
    from wherry.testing.memory.locks import MemoryLocks
    from wherry.testing.memory.storage import MemoryStorage
"""
