"""The catalog in SQLite: what is its own, beside the SQL that all databases share.

catalog       `SqliteCatalog`: threads that read, and the writer
connections   connections that keep what is committed (WAL, `synchronous=FULL`); checkpoints
writer        the one thread that writes, and commits in groups
ballast       disk space kept for changes that free space
anchor        whether the files are still the ones that were opened
"""
