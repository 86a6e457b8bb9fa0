"""The catalog in SQLite: what is its own, beside the SQL that all databases share.

catalog       `SqliteCatalog`: threads that read, and the writer
readers       queries, on connections that are kept open
connections   connections that keep what is committed (WAL, `synchronous=FULL`); checkpoints
writer        the one thread that writes, and commits in groups
known         what the writer need not read again
ballast       disk space kept for changes that free space
anchor        whether the files are still the ones that were opened
"""
