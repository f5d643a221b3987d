"""At the prompt: arguments in, text out. No query stands here.

A command is a function that takes its parser, adds the arguments, and returns the handler that runs them;
:mod:`~vulcan_store.cli.main` lists them. Its docstring is its help.
"""
