"""`python -m podworker`: the command line."""

from podworker.cli import main

if __name__ == "__main__":
    main()
