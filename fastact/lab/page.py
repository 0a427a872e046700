"""A page that needs nothing else: text, tables and pictures in one HTML file."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

from matplotlib.figure import Figure

import fastact

_STYLE = """
:root { --ink: #222; --faint: #666; --line: #ddd; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 68rem;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { margin-top: 2.5rem; font-size: 1.25rem; }
img { width: 100%; height: auto; } figcaption { color: var(--faint); font-size: 0.9rem; }
figure { margin: 1rem 0; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.3rem 0.8rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } th { color: var(--faint); font-weight: 600; }
.vanishes { color: #0072B2; } .explodes { color: #D55E00; } .healthy { color: #007A58; }
.verdict { font-weight: 600; } code { font-size: 0.85rem; } pre { overflow-x: auto; }
pre { background: #f6f6f6; padding: 0.8rem; } footer { color: var(--faint); margin-top: 3rem; }
"""


def page(title: str, parts: Sequence[str]) -> bytes:
    """The document; `parts` are HTML, as the functions below make it."""
    config = fastact.get_config()
    made = ", ".join(f"{name} {config[name]}" for name in ("fastact", "numpy", "python"))
    footer = f"Made by <code>fastact lab</code>: {escape(made)}, {escape(str(config['isa']))}."
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            *parts,
            f"<footer>{footer}</footer></body></html>\n",
        ]
    ).encode()


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def listing(items: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def code(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A verdict has its colour; every other cell is plain text."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _cell(text: str) -> str:
    kind = f' class="verdict {text}"' if text in ("vanishes", "explodes", "healthy") else ""
    return f"<td{kind}>{escape(text)}</td>"


def picture(figure: Figure, caption: str) -> str:
    """The figure itself, not a reference to it."""
    file = BytesIO()
    figure.savefig(file, format="png")
    data = b64encode(file.getvalue()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
