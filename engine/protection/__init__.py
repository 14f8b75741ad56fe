"""Protects the machine: what it reads of cards, battery and clock, and when it pauses for them."""
