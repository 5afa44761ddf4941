import type { ReactNode } from "react";
import { Heading, Text } from "react-email";
import { longestWord } from "../rendering/names.ts";
import { light, radius, space, type Tone, type as typeface } from "../theme.ts";
import { ink } from "./paint.ts";

/** The kind of email, above its title. Left out of the plain text, where the title says it again. */
export function Status({ tone, children }: { tone: Tone; children: string }) {
  const { className, style } = ink(tone === "neutral" ? "muted" : tone, {
    ...typeface.small,
    display: "inline-block",
    fontWeight: 600,
    padding: "2px 10px",
    borderRadius: radius.tag,
    backgroundColor: light[`${tone}Tint`],
  });
  return (
    <Text style={{ ...typeface.small, margin: "0 0 14px" }} data-skip-in-text="true">
      <span className={`${className} on-${tone}Tint`} style={style}>
        {children}
      </span>
    </Text>
  );
}

/** What the email is about, in one line. */
export function Title({ children }: { children: string }) {
  // A date is kept on one line, and then as long as a word.
  const longest = longestWord(children.replaceAll("\u00a0", "_"));
  const style = { ...typeface.title, margin: "0 0 20px", textWrap: "balance" } as const;
  return (
    <Heading as="h1" {...ink("text", style, longest > space.longWord ? "long-title" : "title")}>
      {children}
    </Heading>
  );
}

/** A paragraph. Nothing at all where there is nothing to say. */
export function Paragraph({ children }: { children: ReactNode }) {
  if (!children) return null;
  return <Text {...ink("text", { ...typeface.body, margin: "0 0 16px" })}>{children}</Text>;
}

/** A remark of lesser weight, below the action. */
export function Note({ children }: { children: ReactNode }) {
  if (!children) return null;
  return <Text {...ink("muted", { ...typeface.detail, margin: "20px 0 0" })}>{children}</Text>;
}

/** A large amount with a line below it. */
export function Figure({ children, caption }: { children: string; caption: string }) {
  const style = { ...typeface.figure, margin: "0 0 4px", fontVariantNumeric: "tabular-nums" };
  return (
    <>
      <Text {...ink("text", style, "figure")}>{children}</Text>
      <Text {...ink("muted", { ...typeface.detail, margin: "0 0 24px" })}>{caption}</Text>
    </>
  );
}

/** The sentences there are, as one text; undefined where there are none. */
export function sentences(...said: (string | null | undefined)[]): string | undefined {
  return said.filter(Boolean).join(" ") || undefined;
}

/** A hairline between two parts. */
export const hairline = `1px solid ${light.line}`;
