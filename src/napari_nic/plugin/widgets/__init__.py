"""Qt widgets: they show what controllers hold and pass on clicks; no decision is taken here."""
