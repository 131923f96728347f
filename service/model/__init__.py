"""The nouns: a form, a lead, a problem, the languages; frozen values that are neither read nor kept here."""
