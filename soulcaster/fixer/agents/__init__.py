"""Coding agents: programs for terminals that change code without a person, one file each, and the runner of them all.

What such a program prints is a stranger's word. It decides what the log says and when to stop waiting, nothing else:
the change that it left and the tests are judged.
"""
