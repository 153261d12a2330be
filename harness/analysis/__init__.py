"""What follows from observations: metrics, checks, comparisons and the verdict.

Reads reports, never devices: the same observations always give the same answer.
"""
