import { type ReactNode, useEffect, useRef } from "react";
import { APP_NAME } from "../app-name.ts";
import { takeMove } from "../router.tsx";

/**
 * A page: its title is the document's and its first heading. Gone to within the application, the heading takes the focus,
 * as a page that is loaded would be read from there.
 */
export function Page({ title, children }: { title: string; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (takeMove()) heading.current?.focus();
  }, []);
  useEffect(() => {
    document.title = `${title} · ${APP_NAME}`;
  }, [title]);
  return (
    <>
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </>
  );
}

/** A part of a page with a heading of its own. */
export function Card({ title, children }: { title: string; children: ReactNode }) {
  const id = `card-${title.replace(/\W+/g, "-").toLowerCase()}`;
  return (
    <section className="card" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}
