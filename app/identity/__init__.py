"""Recognise people: the gallery, matching of tracks to people, and the policies that decide."""
