"""What the boards and the alerts say, in one place each; ../generate writes them as Grafana and Prometheus read them."""
