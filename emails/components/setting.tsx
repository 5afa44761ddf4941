import { type CSSProperties, createContext, useContext } from "react";
import { type BrandColors, brandColors, light } from "../theme.ts";

/** What the parts of an email take from the layout around them. */
interface Surroundings {
  colors: BrandColors;
  /** The side a line of text begins on. */
  start: "left" | "right";
  end: "left" | "right";
  /** Space kept free on the side where the text goes on. */
  before: (size: string) => CSSProperties;
}

const SurroundingsContext = createContext<Surroundings>(surroundings(undefined, "ltr"));

/** Filled by the layout, once for an email. */
export const SurroundingsProvider = SurroundingsContext.Provider;

/** The surroundings a brand colour and a writing direction make. */
export function surroundings(color: string | null | undefined, direction: "ltr" | "rtl"): Surroundings {
  const colors = brandColors(color, light);
  return direction === "rtl"
    ? { colors, start: "right", end: "left", before: (size) => ({ paddingLeft: size }) }
    : { colors, start: "left", end: "right", before: (size) => ({ paddingRight: size }) };
}

/** The brand's colours and the sides of the text, for the parts of an email. */
export function useSurroundings(): Surroundings {
  return useContext(SurroundingsContext);
}
