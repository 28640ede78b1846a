"""A component of every WIT type, and what writes it; tests read the catalogue."""
