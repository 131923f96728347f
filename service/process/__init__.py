"""The processes: environment, log, metrics, wiring, the main functions of web and worker."""
