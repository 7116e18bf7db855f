"""The embedded services and the supervisor that runs the whole of Assay on one machine."""
