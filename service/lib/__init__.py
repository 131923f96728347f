"""Text, secrets, network addresses, rates, times, JSON text and signatures: what knows no form and no lead."""
