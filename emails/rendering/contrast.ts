/** Colours as numbers: WCAG contrast, and the nearest shade of a colour that can be read on another. */

interface Rgb {
  r: number;
  g: number;
  b: number;
}

const hex = /^#[0-9a-f]{6}$/i;

/** Whether this is a colour the theme can use: six hexadecimal digits behind a hash. */
export function isHexColor(color: string): boolean {
  return hex.test(color);
}

/** WCAG 2 contrast ratio of two hex colours, from 1 (the same) to 21 (black on white). */
export function contrastRatio(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Black or white, whichever reads better on the background. One of them always reaches 4.5:1. */
export function readableOn(background: string): "#000000" | "#ffffff" {
  // White is preferred where it suffices: on a saturated button black looks like a mistake.
  return contrastRatio("#ffffff", background) >= 4.5 ? "#ffffff" : "#000000";
}

/** The colour, darkened or lightened no further than `ratio` on the background asks for. */
export function shadeFor(color: string, background: string, ratio: number): string {
  const target = luminance(background) > 0.18 ? "#000000" : "#ffffff";
  for (let share = 0; share <= 100; share += 2) {
    const shade = mix(color, target, share / 100);
    if (contrastRatio(shade, background) >= ratio) return shade;
  }
  return target;
}

function mix(from: string, to: string, share: number): string {
  const [a, b] = [parse(from), parse(to)];
  const channel = (key: keyof Rgb) =>
    Math.round(a[key] + (b[key] - a[key]) * share)
      .toString(16)
      .padStart(2, "0");
  return `#${channel("r")}${channel("g")}${channel("b")}`;
}

function luminance(color: string): number {
  const { r, g, b } = parse(color);
  const linear = (channel: number) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}

function parse(color: string): Rgb {
  if (!isHexColor(color)) throw new RangeError(`"${color}" is not a colour like #1a2b3c`);
  const value = Number.parseInt(color.slice(1), 16);
  return { r: value >> 16, g: (value >> 8) & 255, b: value & 255 };
}
