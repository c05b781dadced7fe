"""Results as an earlier version stored them, and the script that made them."""
