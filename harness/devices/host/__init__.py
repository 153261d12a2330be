"""This machine: every launch is a fresh process of a Python worker."""
