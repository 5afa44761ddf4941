import type { ReactNode } from "react";
import { Button, Link, Section, Text } from "react-email";
import { light, radius, type as typeface } from "../theme.ts";
import { ink } from "./paint.ts";
import { useSurroundings } from "./setting.tsx";

interface LinkProps {
  href: string;
  children: string;
}

/** The one thing the reader may want to do. */
export function Action({ href, children }: LinkProps) {
  const { colors } = useSurroundings();
  return (
    <Section style={{ padding: "8px 0 4px" }}>
      <Button
        href={href}
        className="button wide"
        style={{
          ...typeface.body,
          fontWeight: 600,
          padding: "13px 22px",
          borderRadius: radius.button,
          border: `1px solid ${colors.buttonLine}`,
          backgroundColor: colors.button,
          color: colors.buttonText,
        }}
      >
        {children}
      </Button>
    </Section>
  );
}

/** A second way, for whom the first does not suit. */
export function Alternative({ href, children }: LinkProps) {
  return (
    <Text {...ink("muted", { ...typeface.detail, margin: "12px 0 0" })}>
      <TextLink href={href}>{children}</TextLink>
    </Text>
  );
}

/** A link within a text or a table. */
export function TextLink({ href, children }: { href: string; children: ReactNode }) {
  const { colors } = useSurroundings();
  return (
    <Link
      href={href}
      className="link"
      style={{
        color: colors.link,
        textDecoration: "underline",
        // An invoice's number is not broken at its hyphen.
        ...(typeof children === "string" && children.length <= 20 ? { whiteSpace: "nowrap" } : {}),
      }}
    >
      {children}
    </Link>
  );
}

/** Two links of equal weight beside each other; each only where there is somewhere to go. */
export function Links({ links }: { links: readonly (LinkProps | undefined)[] }) {
  const { start, before } = useSurroundings();
  const present = links.filter((link) => link !== undefined);
  if (present.length === 0) return null;
  return (
    <Section style={{ padding: "4px 0 0", textAlign: start }}>
      {present.map(({ href, children }) => (
        <Text key={href} style={{ display: "inline-block", margin: "0 0 4px", ...before("10px") }}>
          <Link
            href={href}
            {...ink(
              "text",
              {
                ...typeface.detail,
                display: "inline-block",
                padding: "9px 16px",
                fontWeight: 600,
                textDecoration: "none",
                border: `1px solid ${light.line}`,
                borderRadius: radius.button,
              },
              "edge",
            )}
          >
            {children}
          </Link>
        </Text>
      ))}
    </Section>
  );
}
