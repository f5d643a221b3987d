"""``python -m vulcan_store`` is the same as ``vulcan-store``."""

from vulcan_store.cli.main import main

raise SystemExit(main())
