"""The command line. Heavy parts are imported inside the commands, so that `backstay --help` answers at once."""

from backstay.cli.entry import app, main

__all__ = ["app", "main"]
