"""`python -m smidgen.cli`."""

from smidgen.cli import main

main()
