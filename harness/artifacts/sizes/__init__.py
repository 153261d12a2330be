"""Why a file is large: its layers, whatever format it has, and what would make it smaller."""
