"""What is said of language models, each as an experiment that could have failed; one file per finding."""
