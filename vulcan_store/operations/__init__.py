"""What is done: each operation is a function whose first argument is the store, and its queries stand under it.

No driver is known here: an engine, which is known by its contract alone, runs the queries.
"""
