"""Forms from JSON Schema: what a person fills in where a model would have answered. Pure: knows no request and no page."""
