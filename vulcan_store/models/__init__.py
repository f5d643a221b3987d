"""What is kept: the two models, and what is true of a value whichever way it is written.

Nothing here opens a store or sends a query.
"""
