"""The browser app: explore patients, compare models, look at audits, annotate heat maps."""
