"""Builds the packages of a release, and tries them: `make dist`."""
