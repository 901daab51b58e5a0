"""A real fleet on real servers, watched by a real Prometheus, and driven through success and outages."""
