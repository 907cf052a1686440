"""Experiments of the papers, as recipes that join rooms; nothing else of the library needs them."""
