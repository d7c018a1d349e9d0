"""
Proves the promise by breaking things: real clusters, a real receiver, and faults at random.

`python -m tests.chaos --seconds 60` runs it on the database of the environment. While `publisher`
goes on publishing, `rampage` draws `faults` that hit what the `supervisor` keeps running, and the
`receiver` keeps a log of its own. When all is quiet again, the `tally` compares log and rows.
"""
