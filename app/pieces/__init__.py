"""Split a long video into pieces without encoding, and join the rendered pieces again."""

from app.pieces.joining import join
from app.pieces.manifest import MANIFEST, Manifest, Piece, SourceFile, read_manifest
from app.pieces.plans import join_plans
from app.pieces.proposal import Proposal, propose
from app.pieces.splitting import split

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
