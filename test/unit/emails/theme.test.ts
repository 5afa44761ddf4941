import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contrastRatio, readableOn } from "../../../emails/rendering/contrast.ts";
import { brandColors, dark, light, type Palette } from "../../../emails/theme.ts";
import "../../support/seeded-properties.ts";

const enough = 4.5;

/** Which texts stand on which grounds. */
const pairs = (palette: Palette): [string, string, string][] => [
  ...(["text", "muted"] as const).flatMap((ink) =>
    (["surface", "panel", "canvas"] as const).map((on): [string, string, string] => [
      `${ink} on ${on}`,
      palette[ink],
      palette[on],
    ]),
  ),
  ["faint on canvas", palette.faint, palette.canvas],
  ["muted on neutralTint", palette.muted, palette.neutralTint],
  ["critical on criticalTint", palette.critical, palette.criticalTint],
  ["attention on attentionTint", palette.attention, palette.attentionTint],
  ["positive on positiveTint", palette.positive, palette.positiveTint],
];

/** What Outlook does to an email that brings no dark mode: every colour keeps its hue and flips its lightness. */
function inverted(color: string): string {
  const channels = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255);
  const [y = 0, ...rest] = toYcc(channels);
  return `#${fromYcc([1 - y, ...rest])
    .map((channel) =>
      Math.round(Math.min(1, Math.max(0, channel)) * 255)
        .toString(16)
        .padStart(2, "0"),
    )
    .join("")}`;
}
const toYcc = ([r = 0, g = 0, b = 0]: number[]) => {
  const y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return [y, b - y, r - y];
};
const fromYcc = ([y = 0, cb = 0, cr = 0]: number[]) => {
  const [r, b] = [y + cr, y + cb];
  return [r, (y - 0.2126 * r - 0.0722 * b) / 0.7152, b];
};

describe.each([
  ["light", light],
  ["dark", dark],
] as const)("in the %s", (_, palette) => {
  test.each(pairs(palette))("%s reads well", (_, ink, ground) => {
    expect(contrastRatio(ink, ground)).toBeGreaterThanOrEqual(enough);
  });

  const anyColor = fc
    .integer({ min: 0, max: 0xffffff })
    .map((value) => `#${value.toString(16).padStart(6, "0")}`);

  test("buttons and links of any brand colour read well", () => {
    fc.assert(
      fc.property(anyColor, (color) => {
        const { button, buttonText, buttonLine, link } = brandColors(color, palette);
        expect(button).toBe(color);
        expect(contrastRatio(buttonText, button)).toBeGreaterThanOrEqual(enough);
        for (const ground of [palette.surface, palette.panel, palette.canvas]) {
          expect(contrastRatio(link, ground), `${link} on ${ground}`).toBeGreaterThanOrEqual(enough);
        }
        // A button the colour of the card still has an edge.
        expect(contrastRatio(buttonLine, palette.surface)).toBeGreaterThanOrEqual(1.6);
      }),
      { numRuns: 500 },
    );
  });

  test.each(["#ffffff", "#000000", "#ffff00", "#18191b", "#777777"])("the brand colour %s works", (color) => {
    const { button, buttonText, link } = brandColors(color, palette);
    expect(contrastRatio(buttonText, button)).toBeGreaterThanOrEqual(enough);
    expect(contrastRatio(link, palette.surface)).toBeGreaterThanOrEqual(enough);
  });
});

test.each(pairs(light))("%s survives a client that inverts it", (_, ink, ground) => {
  expect(contrastRatio(inverted(ink), inverted(ground))).toBeGreaterThanOrEqual(enough);
});

test("a brand colour that is none is replaced", () => {
  const house = brandColors(undefined, light);
  for (const color of ["", "red", "#fff", "#12345g", "#3538cd;}", null])
    expect(brandColors(color, light)).toEqual(house);
});

test("the ratio is WCAG's", () => {
  expect(contrastRatio("#000000", "#ffffff")).toBe(21);
  expect(contrastRatio("#777777", "#ffffff")).toBeCloseTo(4.478, 3);
  expect(contrastRatio("#3538cd", "#3538cd")).toBe(1);
  expect(readableOn("#ffff00")).toBe("#000000");
});
