"""`python -m workers` is the command `q2c`, for where the console script is not on the path."""

from workers.cli import main

main()
