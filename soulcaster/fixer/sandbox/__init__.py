"""The sandbox inside of a job, for commands of strangers.

`choosing` says which one works here: `bubblewrap`, or another user (`uid`) where there are no user namespaces. Both run
a command by `running`, which watches its limits. What a command can reach are doors (`doors`): unix sockets of servers
in this process, such as the proxy of package registries (`egress`).
"""
