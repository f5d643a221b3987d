"""How it is asked: the queries about workloads in Peewee, built once and run many times.

Nothing here runs one.
"""
