"""How candidates are measured and compared: latency, memory, the Pareto front, the gate, the report."""
