"""Problems of igsm that hide what is needed among as many quantities like it."""
