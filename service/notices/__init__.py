"""Whoever looks after the leads is told without looking: what is wrong, once, and when it is over."""
