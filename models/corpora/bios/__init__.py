"""People with a name and five attributes, their biographies, and questions about them."""
