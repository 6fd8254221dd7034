"""How candidates are measured and compared: latency, memory, losses, the Pareto front, the gate, the report."""
