"""`python -m wherry` is `wherry`."""

from wherry.cli import main

main()
