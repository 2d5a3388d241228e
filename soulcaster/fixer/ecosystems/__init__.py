"""How the tests of a repository are set up, run and read, by ecosystem."""
