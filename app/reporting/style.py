"""The style of a report, for screens in light and dark, and for paper."""

from collections.abc import Mapping
from typing import Final

from app.reporting.pictures import COLOURS

_SCREEN: Final = """
:root{color-scheme:light dark;--text:#1b1f24;--soft:#545d68;--page:#fff;--panel:#f5f7f9;
--line:#d4dae1;--done:#0b6b33;--done-page:#e3f5ea;--open:#8a3b00;--open-page:#fff1dc;--link:#0b57b0}
@media screen and (prefers-color-scheme:dark){:root{--text:#e7eaee;--soft:#a9b2bd;--page:#14171b;
--panel:#1e2329;--line:#39414b;--done:#7bdca0;--done-page:#12321f;--open:#ffc07a;
--open-page:#3a2608;--link:#8ab8ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:2rem 1.5rem 4rem;background:var(--page);
color:var(--text);font:1rem/1.5 system-ui,-apple-system,"Segoe UI","Liberation Sans",sans-serif}
h1{font-size:1.75rem;line-height:1.2;margin:0}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:1rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:0}
h1,h2,h3,dd,p,li,figcaption,caption{overflow-wrap:anywhere}
p{margin:.5rem 0;max-width:46rem}
a{color:var(--link)}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;margin:1rem 0 0;padding:0}
.soft{color:var(--soft)}
.file{margin:.25rem 0 1rem;color:var(--soft)}
.state{border:1px solid;border-left-width:.5rem;border-radius:.4rem;padding:.75rem 1rem;
max-width:none}
.state strong{font-size:1.25rem;display:block}
.done{color:var(--done);background:var(--done-page)}
.open{color:var(--open);background:var(--open-page)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.75rem;margin:1rem 0}
dl div{background:var(--panel);border:1px solid var(--line);border-radius:.4rem;
padding:.5rem .75rem}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0;font-size:1.1rem;font-weight:600;font-variant-numeric:tabular-nums}
.person{border:1px solid var(--line);border-radius:.5rem;padding:1rem;margin:0 0 1rem}
.title{display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:baseline}
.mark{border:1px solid;border-radius:1rem;padding:0 .6rem;font-size:.85rem;font-weight:600}
.note{border-left:.25rem solid var(--line);padding-left:.75rem}
.faces{display:flex;flex-wrap:wrap;gap:.75rem;list-style:none;margin:.75rem 0 0;padding:0}
.faces li{width:6.5rem;font-size:.8rem;color:var(--soft)}
.faces img{width:6.5rem;height:6.5rem;object-fit:contain;background:var(--panel);
border:1px solid var(--line);border-radius:.3rem;display:block}
.wide{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding:0 0 .25rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;
border-bottom:1px solid var(--line);overflow-wrap:break-word}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}
tbody th{font-weight:600}
tbody tr:last-child>*{border-bottom:0}
s{color:var(--soft)}
.small{grid-template-columns:repeat(auto-fill,minmax(12rem,1fr));gap:0 1.5rem;font-size:.9rem}
.small div{display:flex;justify-content:space-between;gap:1rem;background:none;border:0;
border-bottom:1px solid var(--line);border-radius:0;padding:.2rem 0}
.small dt{white-space:nowrap}.small dd{font-size:.9rem;text-align:right}
code{font:.85em/1.4 ui-monospace,"Liberation Mono",Menlo,monospace;overflow-wrap:anywhere}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:.5rem;margin:0 0 1.25rem}
.pair h3{grid-column:1/-1}
figure{margin:0}
figure img{width:100%;height:auto;display:block;border:1px solid var(--line);border-radius:.3rem}
figcaption{font-size:.85rem;color:var(--soft)}
.pair>p{grid-column:1/-1;margin:0;font-size:.9rem;max-width:none}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;padding:0;
margin:.5rem 0 1rem}
.legend span{display:inline-block;width:.9rem;height:.9rem;border-radius:.2rem;
margin-right:.4rem;vertical-align:-.1rem}
@media (max-width:40rem){body{padding:1rem}table{min-width:38rem}.hashes{min-width:0}
.pair{grid-template-columns:1fr}h1{font-size:1.4rem}}
"""
_PRINT: Final = """
@page{size:A4;margin:18mm 15mm 20mm}
@page{@bottom-right{content:counter(page) " / " counter(pages);font:8pt sans-serif;color:#545d68}}
@media print{:root{color-scheme:light}body{max-width:none;padding:0;font-size:9.5pt}
nav{display:none}.wide{overflow:visible}td,th{overflow-wrap:anywhere}
code{font-size:6.5pt}a{color:inherit;text-decoration:none}
h1,h2,h3,caption{break-after:avoid}.person,.pair,tr,dl div,.state{break-inside:avoid}
thead{display:table-header-group}table{font-size:8.5pt}.pair{grid-template-columns:1fr 1fr}
.state,.mark,dl div,.legend span{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.faces{gap:2mm}.faces li,.faces img{width:25mm}.faces img{height:25mm}
.faces li{font-size:7.5pt}.person{padding:3mm;margin-bottom:4mm}h2{margin-top:7mm;padding-top:3mm}
dl{grid-template-columns:repeat(6,1fr);gap:2mm}dl div{padding:1.5mm 2mm}dt{font-size:7.5pt}
dd{font-size:10pt}.small{grid-template-columns:repeat(3,1fr);gap:0 6mm}.small div{padding:.6mm 0}
.small dd{font-size:8pt}}
"""


def style(names: Mapping[str, str]) -> str:
    """Return the style sheet; ``names`` has the class of each kind of outline."""
    legend = (f".legend .{name}{{background:rgb{COLOURS[kind]}}}" for kind, name in names.items())
    return f"{_SCREEN}{''.join(legend)}{_PRINT}"
