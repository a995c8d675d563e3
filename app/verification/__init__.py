"""Look at a result again: every frame of it, beside its source."""
