"""Which model do I ship? A benchmark of on-device models that answers with evidence."""

__version__ = "0.1.0"
