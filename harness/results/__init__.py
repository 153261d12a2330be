"""Run folders and reports: the only room that reads or writes them."""
