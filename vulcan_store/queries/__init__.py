"""How it is asked: a Peewee query is compiled once and run many times, and filters narrow it down.

Nothing here runs one.
"""
