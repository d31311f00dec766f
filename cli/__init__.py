"""The command line `q2c`: one module for each command.

A command is thin: it reads the settings, calls one function and turns an expected failure into one message and an exit
code. What a command needs is imported when it runs, so that `q2c --help` and shell completion answer at once.
"""
