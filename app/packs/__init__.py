"""Model packs: descriptions, downloads, archives, hashes, and conversion of published weights."""
