"""The offline detector of tables against PyOD and scikit-learn."""
