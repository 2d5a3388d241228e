"""`python -m soulcaster` is the program `soulcaster`."""

from soulcaster.cli.main import main

if __name__ == "__main__":
    main()
