"""The model as a coding agent in the sandbox reaches it: through a proxy of ours that has the key and counts.

`apis` says what each API looks like, `metering` what a response says that it took, `prices` what that costs, and
`proxy` puts them together behind a door of the sandbox.
"""
