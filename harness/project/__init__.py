"""What the user wrote, checked: devices.yaml, models/variants.yaml and the request."""
