"""At the prompt: arguments in, text out. No query stands here.

Each command is a :class:`~vulcan_store.cli.command.Command` in the file of its group, parser and handler together;
:mod:`~vulcan_store.cli.registry` lists them.
"""
