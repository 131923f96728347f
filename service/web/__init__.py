"""HTTP comes in: the request is read once, submitted within limits, answered."""
