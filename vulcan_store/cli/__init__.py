"""At the prompt: arguments in, text out. No query stands here."""
