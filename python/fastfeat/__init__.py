"""fastfeat."""
