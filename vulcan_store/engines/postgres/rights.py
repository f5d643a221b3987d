"""What a role lacks, and the statements that would grant it."""

from __future__ import annotations

from collections.abc import Sequence

from vulcan_store.engines.cursor import Row

SCHEMA = "(SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema())"

LACKING = f"""
SELECT quote_ident(current_user), what, string_agg(privilege, ', ' ORDER BY place) FROM (
  SELECT 'SCHEMA ' || quote_ident(nspname) AS what, 'USAGE, CREATE' AS privilege, 1 AS place
  FROM pg_catalog.pg_namespace
  WHERE current_schema() IS NULL AND nspname = ANY (regexp_split_to_array(current_setting('search_path'), '"?, *"?'))
  UNION ALL
  SELECT 'SCHEMA ' || quote_ident(current_schema()), 'CREATE', 1
  WHERE NOT has_schema_privilege({SCHEMA}, 'CREATE') AND %s > (
    SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = {SCHEMA} AND relname = ANY (%s))
  UNION ALL
  SELECT 'TABLE ' || quote_ident(relname), privilege, place
  FROM pg_catalog.pg_class,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS wanted (privilege, place)
  WHERE relnamespace = {SCHEMA} AND relname = ANY (%s) AND NOT has_table_privilege(pg_class.oid, privilege)
  UNION ALL
  SELECT 'SEQUENCE ' || quote_ident(counter.relname), 'USAGE', 1
  FROM pg_catalog.pg_class AS counter
  JOIN pg_catalog.pg_depend ON classid = 'pg_catalog.pg_class'::regclass AND objid = counter.oid AND deptype = 'a'
  JOIN pg_catalog.pg_class AS counted ON counted.oid = refobjid
  WHERE counted.relnamespace = {SCHEMA} AND counted.relname = ANY (%s)
  AND CASE counter.relkind WHEN 'S' THEN NOT has_sequence_privilege(counter.oid, 'USAGE') END
) AS lacking GROUP BY what ORDER BY what
"""
"""A role, an object, and the rights on it that the role lacks; for how many tables, and three times their names."""


def values_for(tables: Sequence[str]) -> tuple[int, list[str], list[str], list[str]]:
    """The values of :data:`LACKING`."""
    names = list(tables)
    return len(names), names, names, names


def reason_for(lacking: Sequence[Row]) -> str:
    """The rights that are lacking, on what, and what grants them."""
    role, on, grants = lacking[0][0], [], []
    for _, what, privileges in lacking:
        kind, name = what.split(" ", 1)
        on.append(f"{privileges} on {kind.lower()} {name}")
        grants.append(f"GRANT {privileges} ON {what} TO {role}")
    return f"the role {role} lacks {' and '.join(on)}; the owner can say: {'; '.join(grants)}"
