"""What a graphics card gives, measured without a network in at most 8 minutes: `bash benchmarks/gpu.sh`."""
