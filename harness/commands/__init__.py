"""One subcommand per file.

Each module has HELP (one line), EXAMPLE (a command), `add_arguments`, and `run`, which returns the
exit status. The module's docstring is its help page.
"""
