"""
Holds what the peers' run.py scripts share; it runs in their environments: psycopg and Django only.

Read: databases → processes → load → scripts.
"""
