"""The component's world: its types, names and values, as Python sees them."""
