"""
Receivers that misbehave, on real sockets, and what an attempt at them costs.

`acts` is what a receiver can do with a connection; `misbehaviours` and `tls` name what comes of it:
what each does, and how an attempt must end. The `stage` plays them all in a process of its own,
each on its own port; the processes of `attempts` post to them; the `laboratory` compares. Attempts
at `names` are made in a network of their own, where a name server misbehaves, too.
"""
