"""What a reader is shown, a table or a figure: its numbers, how it is read, its files."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib import font_manager
from matplotlib.figure import Figure as Drawing
from matplotlib.text import Text

from ..files import replace
from .markup import LONG_LINE, MIME, PUBLISHED, first_sentence

_TEX = {"±": r"$\pm$", "–": "--", "−": "$-$", "†": r"$\dagger$", "%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#"}
_TEX |= {"$": r"\$", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {
    "\\": r"\textbackslash{}",
    "<": "$<$",
    ">": "$>$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "✓": r"$\checkmark$",
    "✗": r"$\times$",
}
_NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
_OTHER_SCRIPTS = ["Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei"]
_OTHER_SCRIPTS += ["Microsoft YaHei", "Malgun Gothic", "Hiragino Sans", "PingFang SC", "Arial Unicode MS"]
_STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "font.size": 10,
    "font.family": ["DejaVu Sans", *(one for one in _OTHER_SCRIPTS if one in font_manager.get_font_names())],
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "prunekit",  # the same drawing gives the same file
}


matplotlib.rcdefaults()  # figures look as ours do, whatever a user's matplotlibrc says
matplotlib.rcParams.update(_STYLE)
warnings.filterwarnings(
    "ignore", "Glyph .* missing from font"
)  # once for every letter and file; Page.figure says it once


@dataclass(frozen=True)
class Table:
    """A numbered table: `tidy` goes to the CSV, `wide` is what is read. `name` is its file's name.

    `keys`: how many of its first columns tell the rows; `widths`: the relative widths of the columns where long texts
    call for them; `bold`: what is set in bold, of `wide`'s shape; `folded`: whether a report shows it only if asked.
    """

    name: str
    number: str
    caption: str
    tidy: pd.DataFrame
    wide: pd.DataFrame
    keys: int = 1
    widths: tuple[int, ...] = ()
    bold: pd.DataFrame | None = None
    folded: bool = False

    def save(self, folder: Path) -> None:
        """Write tables/NAME.csv, .md and .tex into `folder`."""
        csv = self.tidy.to_csv(index=False, lineterminator="\n")
        _write(folder / "tables" / self.name, csv=csv.encode(), md=self.markdown().encode(), tex=self.tex().encode())

    def markdown(self) -> str:
        """The caption and below it a pipe table, as GitHub shows it."""
        written = self.wide.map(_piped).rename(columns=_piped)
        body = self._emphasised(written, "**{}**").to_markdown(index=False, disable_numparse=True)
        if self.widths:  # pandoc reads them from the dashes if a line is long
            header, _, *rows = body.splitlines()
            scale = LONG_LINE // sum(self.widths) + 1
            body = "\n".join([header, f"|{'|'.join('-' * (scale * width) for width in self.widths)}|", *rows])
        return f"**{self.number}.** {self.caption}\n\n{body}\n"

    def tex(self) -> str:
        """A LaTeX table for any paper (booktabs): its caption is the first sentence, which says what it holds."""
        written = self._emphasised(self.wide.map(_tex), "\\textbf{{{}}}")
        caption = _tex(first_sentence(self.caption))
        text: str = written.rename(columns=_tex).to_latex(index=False, caption=caption, label=f"tab:{self.name}")
        return text

    def _emphasised(self, cells: pd.DataFrame, how: str) -> pd.DataFrame:
        return cells if self.bold is None else cells.where(~self.bold.to_numpy(), cells.map(how.format))

    def _muted(self, cells: Any) -> Any:
        published = (cells.iloc[:, : self.keys] == PUBLISHED).any(axis=1)
        return cells.where(~published, cells.map('<small style="color: gray">{}</small>'.format))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        caption = f"<p><b>{self.number}.</b> {self.caption}</p>"
        body = (
            self._emphasised(self._muted(self.wide.map(escape)), "<b>{}</b>")
            .rename(columns=escape)
            .to_html(index=False, border=0, escape=False)
        )
        return {
            MIME: {"table": self.name, "keys": self.keys, "texts": bool(self.widths), "folded": self.folded},
            "text/html": caption + body,
            "text/plain": f"{self.number}. {self.caption}\n{self.wide.to_string(index=False)}",
        }


@dataclass(frozen=True)
class Figure:
    """A numbered figure: its drawing, what it shows as a table (`data`), a caption, and a text for the blind."""

    name: str
    number: str
    caption: str
    alt: str
    data: pd.DataFrame
    drawing: Drawing

    def save(self, folder: Path) -> None:
        """Write figures/NAME.csv, .png, .svg and .pdf into `folder`."""
        csv = self.data.to_csv(index=False, lineterminator="\n").encode()
        kinds = {"png": self.png, "svg": self._drawn("svg"), "pdf": self._drawn("pdf")}
        _write(folder / "figures" / self.name, csv=csv, **kinds)

    @property
    def unprintable(self) -> list[str]:
        """The signs of its texts that no font here has; boxes stand for them."""
        fonts = [font_manager.get_font(font_manager.findfont(one)) for one in _STYLE["font.family"]]
        signs = sorted({sign for text in self.drawing.findobj(Text) for sign in text.get_text() if not sign.isspace()})
        return [sign for sign in signs if not any(font.get_char_index(ord(sign)) for font in fonts)]

    @cached_property
    def png(self) -> bytes:
        return self._drawn("png")

    @cached_property
    def _bounds(self) -> Any:
        """What is drawn on, in inches; laid out and measured once, and so the same in every file and on screen."""
        if layout := self.drawing.get_layout_engine():
            layout.execute(self.drawing)
            self.drawing.set_layout_engine(None)  # with any, even one that does nothing, all is drawn twice
        return self.drawing.get_tightbbox().padded(matplotlib.rcParams["savefig.pad_inches"])

    def _drawn(self, kind: str) -> bytes:
        buffer = io.BytesIO()
        self.drawing.savefig(buffer, format=kind, dpi=110, bbox_inches=self._bounds, metadata=_NO_DATE[kind])
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            MIME: {"figure": self.name, "number": self.number, "caption": self.caption, "alt": self.alt},
            "image/png": self.png,
            "text/plain": f"{self.number}. {self.caption}",
        }


def _write(file: Path, **contents: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    for kind, content in contents.items():
        replace(file.with_name(f"{file.name}.{kind}"), content)


def _piped(text: str) -> str:
    return text.replace("|", r"\|")


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in text)
