"""`python -m smidgen`."""

from smidgen.cli import main

main()
