"""Plans of fixes: written by a model or a person before a fix starts."""
