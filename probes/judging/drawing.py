"""What every figure of a report has in common: colours, style, and how it becomes part of a page.

A figure is one SVG element as a string. It is meant to stand inside a page: the background is transparent,
lines and letters of axes take the page's text colour (`currentColor`), size comes from the page, and the same
figure gives the same bytes. Colours are those of Okabe and Ito, told apart by any eye, and each goes with a
marker of its own.
"""

import hashlib
import html
import io
import re

from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

COLOURS = ("#0a85cc", "#e07b00", "#12a07a", "#c763a0", "#8c7ae6", "#a3861f")
MARKERS = ("o", "s", "^", "D", "v", "P")
TEXT = "#765432"  # stands for currentColor until the SVG is written
STYLE: dict[RcKeyType, object] = {
    "axes.edgecolor": TEXT,
    "axes.labelcolor": TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9.5,
    "grid.alpha": 0.18,
    "grid.color": TEXT,
    "legend.fontsize": "small",
    "legend.frameon": False,
    "svg.fonttype": "none",  # letters stay letters: readable, searchable, in the page's font
    "svg.hashsalt": "demur",
    "text.color": TEXT,
    "text.parse_math": False,  # a name with two dollar signs is a name
    "xtick.color": TEXT,
    "ytick.color": TEXT,
}


def svg(figure: Figure, description: str) -> str:
    """The figure as one SVG element: it scales, says what it shows, and shares no id with another figure."""
    target = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(target, format="svg", transparent=True, metadata=nothing)
    text = target.getvalue()
    text = text[text.index("<svg") :].replace(TEXT, "currentColor")
    # A comment repeats each label, and a style sheet would hold for the whole page.
    text = re.sub(r"<!--.*?-->|<style.*?</style>", "", text, flags=re.DOTALL)
    # Ids are kept where something refers to them, and differ from those of every other figure on the page.
    prefix = f"f{hashlib.sha256(description.encode()).hexdigest()[:8]}-"
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', text))
    text = re.sub(r'(href="|url\()#([\w-]+)', rf"\1#{prefix}\2", text)
    text = re.sub(
        r' id="([^"]+)"', lambda match: f' id="{prefix}{match[1]}"' if match[1] in used else "", text
    )
    box, label = _attribute("viewBox", text), html.escape(description)
    return re.sub(
        r"<svg [^>]*>",
        lambda _: (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box}" stroke-linejoin="round" role="img" aria-label="{label}">'
        ),
        text,
        count=1,
    )


def _attribute(name: str, text: str) -> str:
    found = re.search(rf' {name}="([^"]*)"', text)
    if found is None:
        raise RuntimeError(f"matplotlib wrote an SVG without {name}")
    return found[1]
