"""`python -m sonas_cli` is `sonas`."""

from . import main

main()
