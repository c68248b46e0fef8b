"""Diaries that other apps export, read as food entries without a product."""
