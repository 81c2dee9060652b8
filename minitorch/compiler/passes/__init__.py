"""What makes the graph smaller, joins, lays out and divides it, and gives its results their places (passes 2 to 5)."""
