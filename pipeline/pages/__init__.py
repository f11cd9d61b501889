"""Makes the stage `report` and the page of `compare`."""
