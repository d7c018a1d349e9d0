"""
Side-by-side benchmarks of `webhook_delivery`; `make bench` runs them. The order in which to read:

1. what is told:   figures → pictures → rendering
2. what is there:  settings, machine, databases, web, receiver → arrivals
3. who works:      workers, each a process that measures one thing → running → stage
4. who is run:     draining (backlogs), sending (clusters and the loop), neighbours (the peers)
5. what is asked:  scenarios
"""
