"""The catalog in PostgreSQL: what is its own, beside the SQL that all databases share.

catalog       `PostgresCatalog`: threads that read, and the writers
writers       the threads that write; each commits in groups, beside those of other machines
connections   connections that keep what is committed, and end when their process is stopped
session       statements that are sent together
clock         the clock of the database, which all machines share
"""
