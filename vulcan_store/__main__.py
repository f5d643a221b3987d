"""``python -m vulcan_store`` is the same as ``vulcan-store``."""

from vulcan_store.cli.commands import main

raise SystemExit(main())
