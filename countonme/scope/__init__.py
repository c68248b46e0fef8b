"""Rows that belong to a device."""
