"""What is asked of the dashboards: the files by themselves in `rules`, their queries against Prometheus in `live`."""
