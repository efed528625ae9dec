"""How good probes are: metrics, baselines, controls, and the report that shows them."""
