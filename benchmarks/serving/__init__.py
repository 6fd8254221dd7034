"""The server's figures, of any package: `python -m benchmarks.serving COMMAND PACKAGE...`

    load        latency over offered load, evenly spaced and as a Poisson process: a table, and a picture
    latency     p50 and p99 at 70 % of the capacity over those of an idle server, in rounds in which nobody took the CPU
    throughput  requests a second over those of a bare loop in as many processes, the same inputs, in rounds
    peers       `mlflow models serve` and LitServe with the same model under the same load, at 1, 4 and 16 connections
    overload    1.5 times the capacity for `--minutes`: statuses, wrong answers, memory
    memory      of all packages together under the worst requests; the server's flags are its defaults
    start       seconds from the command to ready, memory at rest
    all         load, latency, throughput and peers in about four minutes a package; what was found is kept in
                `measured/`, and docs/serving.md is made of it
    table       docs/serving.md and its picture from what was measured (no package)

The server is started as `python -m serving PACKAGE` with `--workers`, `--instances` and `--threads`, where they are
given, and so are the others. Inputs are the validation split's, where `make repro` has made it, else the package's
golden samples. Client and server share the machine. `--record` keeps what a single command has found, too.
"""
