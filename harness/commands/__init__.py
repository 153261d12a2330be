"""One subcommand per file.

Each offers HELP (a line), EXAMPLE (a command), `add_arguments`, and `run`, which returns the exit
status. The module's docstring is its help page.
"""
