"""Deployments from one declared file: on a schedule, on new data, by hand; as a process, in Docker, on Kubernetes."""
