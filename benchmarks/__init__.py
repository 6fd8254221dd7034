"""Figures against peers and limits; never run as tests. Each module prints ratios of runs made in the same go."""
