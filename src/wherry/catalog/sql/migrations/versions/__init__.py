"""One module a revision, in the order of `down_revision`."""
