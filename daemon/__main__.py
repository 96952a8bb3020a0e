"""`python -m daemon` is `lowtide`."""

from daemon.cli import main

main()
