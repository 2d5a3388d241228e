"""`python -m soulcaster` is the program `soulcaster`."""

if __name__ == "__main__":  # the process that embeds imports this module, too, and has no commands
    from soulcaster.cli.main import main

    main()
