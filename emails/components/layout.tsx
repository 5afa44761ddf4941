import type { ReactNode } from "react";
import { Body, Container, Head, Html, Img, Link, Preview, Section, Text } from "react-email";
import { languageOf } from "../languages/index.ts";
import type { Setting } from "../rendering/voice.ts";
import { light, radius, space, type Tone, type as typeface, width } from "../theme.ts";
import { darkRules, ink, narrowRules, outlookDark } from "./paint.ts";
import { SurroundingsProvider, surroundings } from "./setting.tsx";
import { Status, Title } from "./text.tsx";

interface LayoutProps extends Setting {
  subject: string;
  /** What the inbox shows beside the subject. */
  preview: string;
  /** A word or two above the title that tell the kind of email at a glance. */
  status: string;
  tone: Tone;
  title: string;
  /** Whom it goes to; a customer unless said otherwise. */
  to?: "customer" | "operator";
  children: ReactNode;
}

/** The one frame of all emails: the brand on top, a card with what there is to say, the small print below. */
export function Layout(props: LayoutProps) {
  const { brand, locale, subject, preview, status, tone, title, to = "customer", children } = props;
  const { direction } = languageOf(locale);
  const around = surroundings(brand.color, direction);
  return (
    <SurroundingsProvider value={around}>
      <Html lang={locale} dir={direction}>
        <Head>
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <meta name="supported-color-schemes" content="light dark" />
          <meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no" />
          <title>{subject}</title>
          {/* One sheet a concern: Gmail drops a whole sheet for one selector it does not know. */}
          <style>{`:root{color-scheme:light dark;supported-color-schemes:light dark}`}</style>
          <style>{`@media (max-width:480px){${narrowRules}}`}</style>
          <style>{`@media (prefers-color-scheme:dark){${darkRules(brand)}}`}</style>
          <style>{darkRules(brand, outlookDark)}</style>
        </Head>
        <Body
          lang={locale}
          dir={direction}
          className="on-canvas"
          style={{ margin: 0, padding: 0, backgroundColor: light.canvas, fontFamily: typeface.family }}
        >
          <Preview useTitleTag={false}>{preview}</Preview>
          <Section className="on-canvas" tdClassName="page" style={{ padding: `${space.page} 16px` }}>
            <Container
              style={{
                maxWidth: `${width}px`,
                textAlign: around.start,
                // A name without a single space must not widen the email.
                wordBreak: "break-word",
              }}
            >
              <Masthead brand={brand} />
              <Section
                className="on-surface edge"
                tdClassName="card"
                style={{
                  backgroundColor: light.surface,
                  border: `1px solid ${light.line}`,
                  borderRadius: radius.card,
                  borderCollapse: "separate",
                  padding: space.card,
                }}
              >
                <Status tone={tone}>{status}</Status>
                <Title>{title}</Title>
                {children}
              </Section>
              <Footer brand={brand} locale={locale} to={to} />
            </Container>
          </Section>
        </Body>
      </Html>
    </SurroundingsProvider>
  );
}

function Masthead({ brand }: Pick<Setting, "brand">) {
  const name = ink("text", {
    ...typeface.body,
    fontWeight: 600,
    letterSpacing: "-0.01em",
    textDecoration: "none",
  });
  return (
    <Section style={{ padding: "0 4px 20px" }} data-skip-in-text="true">
      <Link href={brand.appUrl} {...name}>
        {brand.logoUrl ? (
          <Img
            src={brand.logoUrl}
            alt={brand.appName}
            height="32"
            // Else React puts a link that preloads it into the head, which is nothing for an email.
            fetchPriority="low"
            className="logo ink-text"
            // Both bounds and no fixed side, so that a wide logo keeps its shape. Outlook goes by the attribute.
            // Where images are off the name stands here, set as it is without a logo.
            style={{ ...name.style, height: "auto", maxHeight: "32px", width: "auto", maxWidth: "200px" }}
          />
        ) : (
          brand.appName
        )}
      </Link>
    </Section>
  );
}

function Footer({ brand, locale, to }: Setting & { to: "customer" | "operator" }) {
  const { footer, manageBilling } = languageOf(locale).common;
  const small = ink("faint", { ...typeface.small, margin: "0 0 8px" });
  const link = { ...ink("faint", { textDecoration: "underline" }), target: "_blank" };
  const unbroken = { ...link, style: { ...link.style, whiteSpace: "nowrap" } } as const;
  if (to === "operator") {
    return (
      <Section style={{ padding: "24px 4px 0" }}>
        <Text {...small}>{footer.operator(brand.appName)}</Text>
      </Section>
    );
  }
  return (
    <Section style={{ padding: "24px 4px 0" }}>
      <Text {...small}>
        {footer.reason(brand.appName)}{" "}
        <Link href={brand.billingUrl ?? brand.appUrl} {...unbroken}>
          {manageBilling}
        </Link>
      </Text>
      {brand.supportEmail ? (
        <Text {...small}>
          <Help address={brand.supportEmail} sentence={footer.help} link={link} />
        </Text>
      ) : null}
      {brand.postalAddress ? (
        <Text {...small}>
          {brand.postalAddress.split("\n").map((line, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the lines of an address have no other identity
            <span key={index}>
              {index > 0 ? <br /> : null}
              {line}
            </span>
          ))}
        </Text>
      ) : null}
    </Section>
  );
}

/** The sentence with the address in it made a link, wherever the language puts it. */
function Help(props: { address: string; sentence: (address: string) => string; link: object }) {
  const [before, ...after] = props.sentence(props.address).split(props.address);
  return (
    <>
      {before}
      <Link href={`mailto:${props.address}`} {...props.link}>
        {props.address}
      </Link>
      {after.join(props.address)}
    </>
  );
}
