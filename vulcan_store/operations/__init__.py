"""What is done: each operation is a function whose first argument is the store.

No SQL text is written here, and no driver is known: queries are asked of :mod:`vulcan_store.queries.workloads`, and
run by an engine, which is known by its contract alone.
"""
