"""`[forms.NAME]` becomes a form: its fields, its captcha, its ways in."""
