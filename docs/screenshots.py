"""Make the guides' pictures of the app from screenshots: `make screenshots` takes them in Chromium and calls this.

python docs/screenshots.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageChops

__all__ = ["FOLDER", "PICTURES", "cut", "shrink"]

FOLDER = Path(__file__).parent / "images" / "app"

# By the picture's name: the screenshot that it is made of, and whether the list of pages stays beside the page.
PICTURES = {
    "scalars.png": ("scalars_walked", True),
    "points.png": ("points_trained", True),
    "compiler.png": ("compiler", False),
    "convolution.png": ("convolution_and_pooling", False),
    "mnist.png": ("mnist_drawn_3", True),
    "sentiment.png": ("sentiment_judged", False),
}

SIDEBAR = 302  # pixels from the left
MARGIN = 28
COLOURS = 96


def cut(screenshot: Image.Image, sidebar: bool) -> Image.Image:
    """Cut off what is empty around a page, and beneath the list of pages.

    Args:
        screenshot: of the whole window.
        sidebar: whether the list of pages stays.
    """
    width, height = screenshot.size
    parts = [_filled(screenshot, SIDEBAR, width)]
    if sidebar:
        parts.append(_filled(screenshot, 0, SIDEBAR - 4))
    left, upper, right, lower = (pick(ends) for pick, ends in zip((min, min, max, max), zip(*parts)))
    return screenshot.crop(
        (
            0 if sidebar else max(0, left - MARGIN),
            max(0, upper - MARGIN),
            width if sidebar else min(width, right + MARGIN),
            min(height, lower + MARGIN),
        )
    )


def _filled(screenshot: Image.Image, left: int, right: int) -> tuple[int, int, int, int]:
    """Find the box around everything between two columns that has another colour than the lower right corner there."""
    part = screenshot.convert("RGB").crop((left, 0, right, screenshot.height))
    background = Image.new("RGB", part.size, part.getpixel((part.width - 1, part.height - 1)))  # type: ignore[arg-type]
    box = ImageChops.difference(part, background).getbbox()
    if box is None:
        sys.exit("the screenshot is empty")
    return box[0] + left, box[1], box[2] + left, box[3]


def shrink(picture: Image.Image) -> Image.Image:
    """Keep the most important colours, so that the file is small; letters and lines stay sharp."""
    return picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)


def main() -> None:
    """Make every picture whose screenshot is there; say which one is not."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (source, sidebar) in PICTURES.items():
        path = Path(sys.argv[1], f"{source}.png")
        if path.exists():
            with Image.open(path) as screenshot:
                shrink(cut(screenshot, sidebar)).save(FOLDER / name, optimize=True)
        else:
            print(f"{name} stays as it was: {path} is not there. The one of sentences needs SST-2 and word vectors.")


if __name__ == "__main__":
    main()
