"""Six patterns of workflows and agents, each in a file that runs: `python -m examples.patterns.router`."""
