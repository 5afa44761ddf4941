/** Longest name shown, in characters as a reader counts them. */
export const nameLimit = 80;
const subjectNameLimit = 40;

/**
 * Whatever leaves no mark: direction overrides, which make the rest of a line read backwards, soft hyphens,
 * fillers. Joiners and the emoji selector stay, Persian and family emoji are spelt with them.
 */
const invisible = /(?!\u200c|\u200d|\ufe0f)\p{Default_Ignorable_Code_Point}|[\ufff9-\ufffb]|\p{Surrogate}/gu;
const gaps = /[\p{Cc}\p{Zs}\p{Zl}\p{Zp}]+/gu;
const rightToLeft = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/**
 * Makes a name that a customer typed safe to set in a sentence: one line, bounded, no characters that hide or
 * reorder what follows. What is left of a name in a right-to-left script is isolated, so that an amount
 * standing behind it stays where it belongs.
 */
export function cleanName(name: string, limit = nameLimit): string {
  const oneLine = name
    // No reader needs more, and a megabyte need not be walked through to find that out.
    .slice(0, limit * 20)
    .replace(invisible, "")
    .replace(gaps, " ")
    .trim();
  const short = shorten(oneLine, limit);
  return rightToLeft.test(short) ? `\u2068${short}\u2069` : short;
}

/** Cuts a text to `limit` characters as a reader counts them, the last being an ellipsis where it was cut. */
export function shorten(text: string, limit: number): string {
  // A character may be piled high with combining marks: those count towards a bound of their own.
  const bounded = text.slice(0, limit * 4).replace(/\p{Surrogate}/gu, "");
  if (bounded.length === text.length && text.length <= limit) return text;
  const characters = [...new Intl.Segmenter("en", { granularity: "grapheme" }).segment(bounded)];
  if (bounded.length === text.length && characters.length <= limit) return text;
  // The bound may have cut the last character in two: it goes as well.
  const kept = characters.slice(0, Math.min(limit, characters.length) - 1).map(({ segment }) => segment);
  return `${kept.join("").trimEnd()}…`;
}

/** A name short enough that the subject still says what the email is about. */
export function nameInSubject(name: string): string {
  return cleanName(name, subjectNameLimit);
}

/** Characters of the longest word, what stands between two hyphens being one: no line can be broken within it. */
export function longestWord(text: string): number {
  return Math.max(0, ...text.split(/[\s\u200b-]+/).map((word) => word.length));
}
