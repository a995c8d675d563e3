"""The bill of materials of a built image, in the CycloneDX format.

``contents`` runs inside the image and lists what it holds; ``python -m scripts.sbom`` makes a bill
of materials of that list (``bom``) and validates it. ``scripts/image.sh sbom`` runs both.
"""
