"""From a checked job to a saved report: prepare, plan, launch, save, conclude."""
