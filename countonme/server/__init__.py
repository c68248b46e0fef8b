"""Processes: how gunicorn is run, the private PostgreSQL, timeouts, caches."""
