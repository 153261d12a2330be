"""Folders of images, the demo data set, input sets and representative data."""
