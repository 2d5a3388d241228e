"""The program `soulcaster`: one file a group of commands."""
