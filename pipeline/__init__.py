"""Where data flows: preparation, the driver of each stage, and reports."""
