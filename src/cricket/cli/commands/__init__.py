"""One module for each command: its docstring is the description, EXAMPLES end its help, configure() makes its parser
and run() does it and returns the exit code."""
