"""Optional integrations with other packages, imported only by functions that need them."""
