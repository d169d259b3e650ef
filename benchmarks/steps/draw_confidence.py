"""Draws the picture of docs/concepts/confidence.md from a saved result: `python -m benchmarks.steps.draw_confidence`.

It shows how right the most confident share of answers is, and where the step itself stopped being sure.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
PICTURE: Final = ROOT / "docs" / "concepts" / "coverage.svg"
RESULT: Final = ROOT / "benchmarks" / "results" / "steps_intents.json"
LEFT, TOP, WIDTH, HEIGHT = 60, 24, 480, 260
LOWEST: Final = 0.7
INKS: Final = {"10_examples": ("#1f5fa8", "10 examples a label"), "5_examples": ("#b4611c", "5 examples a label")}


def place(share: float, right: float) -> tuple[float, float]:
    """Where a point of the curve lies."""
    return round(LEFT + WIDTH * share, 1), round(TOP + HEIGHT * (1 - (max(right, LOWEST) - LOWEST) / (1 - LOWEST)), 1)


def text(x: float, y: float, words: str, *, anchor: str = "middle", ink: str = "#333") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{ink}">{words}</text>'


def picture(result: dict[str, Any]) -> str:
    """The picture as SVG that stands alone."""
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 570 350" font-family="sans-serif" font-size="12" role="img">',
        "<title>How right the most confident answers are, by the share of them that is taken</title>",
        '<rect width="570" height="350" fill="#fff"/>',
    ]
    for tenth in range(0, 11, 2):
        x, y = place(tenth / 10, LOWEST)
        lines.append(text(x, y + 18, f"{tenth * 10}%"))
    for right in (0.7, 0.8, 0.9, 1.0):
        x, y = place(0, right)
        lines += [f'<line x1="{x}" y1="{y}" x2="{x + WIDTH}" y2="{y}" stroke="#ddd"/>', text(x - 8, y + 4, f"{right:.0%}", anchor="end")]  # fmt: skip
    x, y = place(0, result["target"])
    lines.append(f'<line x1="{x}" y1="{y}" x2="{x + WIDTH}" y2="{y}" stroke="#777" stroke-dasharray="5 4"/>')
    lines.append(text(x + 6, y + 14, f"target {result['target']:.0%}", anchor="start", ink="#777"))
    for number, (name, (ink, words)) in enumerate(INKS.items()):
        one = result[name]
        points = " ".join(f"{px},{py}" for px, py in (place(*point) for point in one["curve"]))
        x, y = place(one["coverage"], one["realised"])
        lines += [
            f'<polyline points="{points}" fill="none" stroke="{ink}" stroke-width="2"/>',
            f'<circle cx="{x}" cy="{y}" r="5" fill="{ink}"/>',
            text(LEFT + 10, TOP + HEIGHT - 34 + 18 * number, f"{words}: sure of {one['coverage']:.0%}, {one['realised']:.0%} right", anchor="start", ink=ink),
        ]  # fmt: skip
    lines.append(text(LEFT - 40, TOP - 14, "of these, right", anchor="start"))
    lines += [text(LEFT + WIDTH / 2, 338, "share of answers, the most confident first"), "</svg>"]
    return "\n".join(lines) + "\n"


def main() -> None:
    PICTURE.write_text(picture(json.loads(RESULT.read_text("utf-8"))), "utf-8")
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
