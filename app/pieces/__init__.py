"""One long film in pieces: cut without encoding, rendered one by one, and put together again."""

from app.pieces.joining import join
from app.pieces.manifest import MANIFEST, Manifest, Piece, SourceFile, read_manifest
from app.pieces.plans import join_plans
from app.pieces.splitting import Proposal, propose, split

__all__ = [
    "MANIFEST",
    "Manifest",
    "Piece",
    "Proposal",
    "SourceFile",
    "join",
    "join_plans",
    "propose",
    "read_manifest",
    "split",
]
