"""Inputs that were findings once, by their reader: each raised an exception that is not ours."""

FINDINGS: dict[str, dict[str, bytes]] = {
    "header": {
        "the header of Matroska ends beyond what can be addressed": (
            b"\x1a\x45\xdf\xa3" + b"\xff" * 63 + b"\x9f\x42\x86\x81\x01\x42\xf7\x81\x01webm"
        ),
        "EXIF of a WebP end within their header": bytes.fromhex(
            "524946463e00000057454250565038580a000000080000000000000000005650384c110000002f00"
            "00000007d0842634a1ff8188e87f000045584946050000004d4d002a0000"
        ),
    },
}
"""For each reader its inputs, by what is wrong with them."""
