"""PostgreSQL as an engine, through psycopg."""
