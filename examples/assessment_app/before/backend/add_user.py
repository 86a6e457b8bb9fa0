"""Add a user, or change a password: python add_user.py NAME (the password is asked for)."""

import getpass
import sys

from auth import add_user

if __name__ == "__main__":
    name = sys.argv[1]
    asked = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    add_user(name, asked)
