import type { CSSProperties } from "react";
import type { Brand } from "../contract.ts";
import { brandColors, dark, light, type Palette, type Tone } from "../theme.ts";

type Ink = "text" | "muted" | "faint" | "critical" | "attention" | "positive";
type Ground = "canvas" | "surface" | "panel" | `${Tone}Tint`;

const inks: readonly Ink[] = ["text", "muted", "faint", "critical", "attention", "positive"];
const grounds: readonly Ground[] = [
  "canvas",
  "surface",
  "panel",
  "neutralTint",
  "criticalTint",
  "attentionTint",
  "positiveTint",
];

/** A text colour: inline for the light mode, with the class that the dark rules take hold of. */
export function ink(
  role: Ink,
  style: CSSProperties = {},
  ...classes: string[]
): { className: string; style: CSSProperties } {
  return { className: [`ink-${role}`, ...classes].join(" "), style: { color: light[role], ...style } };
}

/** The attributes that Outlook on the web sets around an email whose colours it has changed. */
export const outlookDark = ["[data-ogsc] ", "[data-ogsb] "];

/**
 * The dark mode: every colour set again by its class, wherever one of the selectors is around.
 * With a space before each `!important`, in lower case: Outlook on Windows, Orange and Yahoo drop declarations
 * without the space, Gmail reads no capitals. https://www.caniemail.com/features/css-important/
 */
export function darkRules(brand: Brand, within: readonly string[] = [""]): string {
  const { button, buttonText, buttonLine, link } = brandColors(brand.color, dark);
  const rule = (selector: string, declarations: string) =>
    `${within.map((outer) => outer + selector).join(",")}{${declarations}}`;
  const color = (role: keyof Palette) => `color:${dark[role]} !important`;
  return [
    ...inks.map((role) => rule(`.ink-${role}`, color(role))),
    ...grounds.map((role) => rule(`.on-${role}`, `background-color:${dark[role]} !important`)),
    rule(".edge", `border-color:${dark.line} !important`),
    rule(".link", `color:${link} !important`),
    rule(
      ".button",
      `background-color:${button} !important;color:${buttonText} !important;border-color:${buttonLine} !important`,
    ),
    // A dark logo on a transparent ground would vanish: it keeps a light plate to stand on, and so does the
    // name that is shown where images are off.
    rule(
      ".logo",
      `background-color:${light.surface} !important;color:${light.text} !important;padding:8px 10px !important;border-radius:8px !important`,
    ),
  ].join("");
}

/** Phones: less air around the card, a button as wide as the thumb's reach. */
export const narrowRules = [
  ".page{padding:20px 12px !important}",
  ".card{padding:28px 20px !important}",
  ".panel{padding:10px 12px !important}",
  ".fact{font-size:13px !important;padding-right:8px !important}",
  ".fact-value{font-size:13px !important}",
  // One below the other where a long word would be broken as there is too little width.
  ".stacked{display:block !important;width:auto !important;text-align:inherit !important;padding-right:0 !important;padding-left:0 !important}",
  ".hidden-when-stacked{display:none !important}",
  ".stacked-below{padding-top:0 !important}",
  ".below{padding-top:0 !important;border-top:0 !important;text-align:end !important}",
  ".long-title{font-size:19px !important;line-height:25px !important;letter-spacing:-0.02em !important;hyphens:auto}",
  ".wide{display:block !important;text-align:center !important}",
  ".figure{font-size:30px !important;line-height:36px !important}",
].join("");
