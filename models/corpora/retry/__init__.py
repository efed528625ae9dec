"""Problems of igsm whose solutions begin wrong now and then, and take it back."""
