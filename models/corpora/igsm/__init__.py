"""Grade-school word problems with an explicit dependency graph, after iGSM (arXiv 2407.20311)."""
