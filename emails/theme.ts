import type { CSSProperties } from "react";
import { contrastRatio, isHexColor, readableOn, shadeFor } from "./rendering/contrast.ts";

/** Every colour of an email, once for each mode. Tests hold each text to 4.5:1 on what it stands on. */
export interface Palette {
  canvas: string;
  surface: string;
  /** Behind the facts and the line items. */
  panel: string;
  line: string;
  text: string;
  muted: string;
  /** Small print, on the canvas. */
  faint: string;
  critical: string;
  attention: string;
  positive: string;
  /** Behind the word above the title, one for each tone. */
  neutralTint: string;
  criticalTint: string;
  attentionTint: string;
  positiveTint: string;
}

export const light: Palette = {
  canvas: "#f3f3f1",
  surface: "#ffffff",
  panel: "#f8f8f6",
  line: "#e3e3df",
  text: "#1b1b1a",
  muted: "#5c5c57",
  faint: "#6a6a64",
  critical: "#b42318",
  attention: "#8f4b00",
  positive: "#146c43",
  neutralTint: "#f0f0ed",
  criticalTint: "#fdeeec",
  attentionTint: "#fcf1df",
  positiveTint: "#e6f5ec",
};

export const dark: Palette = {
  canvas: "#0e0f10",
  surface: "#18191b",
  panel: "#202124",
  line: "#34363a",
  text: "#f1f1ef",
  muted: "#a9abb0",
  faint: "#93959b",
  critical: "#ff9a8d",
  attention: "#f3b562",
  positive: "#67d49f",
  neutralTint: "#2a2c2f",
  criticalTint: "#3b2220",
  attentionTint: "#362a17",
  positiveTint: "#16302a",
};

export type Tone = "neutral" | "attention" | "critical" | "positive";

const houseColor = "#3538cd";

/** What a brand colour becomes: the button as given, its text and the links such that they can be read. */
export interface BrandColors {
  button: string;
  buttonText: string;
  /** The button's edge: its own colour, or a darker one where the button would melt into the card. */
  buttonLine: string;
  link: string;
}

/** The colours made of a brand colour in one mode. No colour, or an unusable one, gives the house's. */
export function brandColors(color: string | null | undefined, palette: Palette): BrandColors {
  const button = color && isHexColor(color) ? color.toLowerCase() : houseColor;
  const standsOut = contrastRatio(button, palette.surface) >= 1.6;
  return {
    button,
    buttonText: readableOn(button),
    buttonLine: standsOut ? button : shadeFor(button, palette.surface, 2),
    // Links also stand on the canvas (footer) and the panel (facts): readable on the worst of the three.
    link: [palette.surface, palette.panel, palette.canvas].reduce(
      (shade, background) => shadeFor(shade, background, 4.5),
      button,
    ),
  };
}

const family = '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/** Sizes and spaces. Everything drawn takes them from here. */
export const type = {
  family,
  title: { fontSize: "24px", lineHeight: "30px", fontWeight: 600, letterSpacing: "-0.015em" },
  figure: { fontSize: "36px", lineHeight: "42px", fontWeight: 600, letterSpacing: "-0.025em" },
  body: { fontSize: "16px", lineHeight: "25px" },
  detail: { fontSize: "14px", lineHeight: "21px" },
  small: { fontSize: "13px", lineHeight: "20px" },
} satisfies Record<string, CSSProperties | string>;

export const space = {
  page: "32px",
  card: "40px",
  gap: "28px",
  row: "11px",
  fact: "5px",
  /** Characters of a word that half the width of a phone has no room for: what holds one gets the whole width. */
  longWord: 14,
};
export const width = 560;
export const radius = { card: "14px", panel: "10px", button: "9px", tag: "7px" };
