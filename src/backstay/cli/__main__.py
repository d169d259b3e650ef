"""`python -m backstay.cli`: the command line where the script is not on the path."""

from backstay.cli.entry import main

main()
